// Search in pages that are opened from the disk, where browsers start no workers: the worker's script runs in a hidden frame.
// The file has this name so that the theme does not fetch a script of that name from elsewhere.
if (location.protocol === 'file:') {
  window.Worker = class extends EventTarget {
    #frame = document.createElement('iframe');
    #ready;

    constructor(address) {
      super();
      this.#frame.hidden = true;
      document.documentElement.append(this.#frame);
      const inner = this.#frame.contentWindow;
      inner.postMessage = (data) => this.dispatchEvent(new MessageEvent('message', {data}));
      this.#ready = new Promise((resolve, reject) => {
        const script = inner.document.createElement('script');
        Object.assign(script, {src: address, onload: resolve, onerror: reject});
        inner.document.body.append(script);
      });
    }

    async postMessage(data) {
      await this.#ready;
      const inner = this.#frame.contentWindow;
      inner.dispatchEvent(new inner.MessageEvent('message', {data}));
    }

    terminate() {
      this.#frame.remove();
    }
  };
}
