"""A follower of long work that keeps what it receives."""

from model_maker.progress import Progress


class Heard(Progress):
    """Attributes: stages, steps, notes, in order; the `first` step of each stage. `on_step` is called with each."""

    def __init__(self, on_step=lambda done, total: None):
        super().__init__()
        self.stages, self.steps, self.first, self._on_step = [], [], {}, on_step

    def begin(self, name):
        self.stages.append(name)

    def step(self, done, total):
        self.steps.append((done, total))
        self.first.setdefault(self.stages[-1] if self.stages else "", (done, total))
        self._on_step(done, total)
