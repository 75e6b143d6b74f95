/** Classes that are taught on the page: a backbone and a head beside the model, where the model could be split. */

const FRAMES = 5;

/** Knows the model's labels and those that were taught; `null` where the site has no head. */
export class Teacher {
  #classifier;
  #pixelsOf;
  #busy = Promise.resolve();

  constructor(classifier, pixelsOf) {
    this.#classifier = classifier;
    this.#pixelsOf = pixelsOf;
  }

  /** Loads backbone and head; what was taught before is kept by this browser. */
  static async open() {
    const response = await fetch('head.json');
    const head = await response.text();
    if (!response.ok || JSON.parse(head) === null) {
      return null;
    }
    const {Classifier, pixelsOf} = await import('./head.js');
    return new Teacher(await Classifier.load('backbone.tflite', head, storage()), pixelsOf);
  }

  /** The model's labels, then those that were taught. */
  get labels() {
    return this.#classifier.head.labels;
  }

  /** [label, number of frames] of each class that was taught. */
  get taught() {
    return Object.entries(this.#classifier.head.taught);
  }

  /** Scores of all labels and milliseconds, of a decoded photo or a video's current frame. */
  run(image) {
    const photo = this.#pixelsOf(image);
    return this.#alone(async () => {
      const start = performance.now();
      const features = await this.#classifier.features(photo);
      const latencyMs = performance.now() - start;
      return {scores: this.#classifier.head.scores(features), latencyMs};
    });
  }

  /** Learns a label from frames of a video, as long as `goesOn` and at most five; `told` receives how many there were. */
  async teach(label, video, goesOn, told) {
    for (let frame = 1; frame <= FRAMES && (frame === 1 || goesOn()); frame++) {
      const photo = this.#pixelsOf(video);
      await this.#alone(() => this.#classifier.teach(label, photo));
      told(frame, FRAMES);
      await new Promise((resolve) => {
        video.requestVideoFrameCallback ? video.requestVideoFrameCallback(resolve) : requestAnimationFrame(resolve);
      });
    }
  }

  /** Takes a taught label back. */
  forget(label) {
    this.#classifier.forget(label);
  }

  /** Lets one task at a time use the runtime. */
  #alone(task) {
    const result = this.#busy.then(task);
    this.#busy = result.catch(() => {});
    return result;
  }
}

/** Where the browser keeps what was taught; nothing where it may keep nothing. */
function storage() {
  try {
    return window.localStorage;
  } catch {
    return undefined;
  }
}
