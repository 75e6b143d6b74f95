"""A folder with explanations of photos: a heat map of each as a PNG, and all on one page."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from model_maker.data import images
from model_maker.errors import DataError
from model_maker.explanations.explain import with_training_photos
from model_maker.inference import annotation, views
from model_maker.inference.classifier import FileClassifier
from model_maker.inference.explanation import Explainer, Explanation
from model_maker.progress import Progress
from model_maker.report import explanation_page, heat_map
from model_maker.report.explanation_page import Shown
from model_maker.system import files

PAGE = "index.html"
# Of a PNG, pixels of the longer edge.
_SIDE = 640


class Album:
    """Collects explanations; `found` has them in order, with training photos once the folder is complete."""

    def __init__(self, folder: Path, classifier: FileClassifier, view: views.View):
        self.found: list[Explanation] = []
        self.shown: list[Shown] = []
        self._folder, self._explainer, self._view, self._taken = folder, Explainer(classifier), view, set[str]()

    def add(self, name: str, photo: Any, index: int | None, text: str = "") -> None:
        """Explains one label of a photo, the best one where `index` is None, and draws its heat map.

        Raises:
          DataError: the photo cannot be read.
        """
        picture = self._view.part(images.picture(photo))
        [found] = self._explainer.explain([picture], labels=[index])
        if isinstance(found, DataError):
            raise found
        file = Path(annotation.copy_name(name, self._taken)).with_suffix(".png")
        (self._folder / file).write_bytes(heat_map.png(picture, found.shares, _SIDE, found.fit))
        self.found.append(found)
        self.shown.append(explanation_page.shown(name, text, picture, found))


@contextlib.contextmanager
def album(
    folder: str | os.PathLike[str],
    classifier: FileClassifier,
    model: str | os.PathLike[str] | None,
    *,
    named: Sequence[str] = (),
    view: views.View = views.WHOLE,
    progress: Progress | None = None,
) -> Iterator[Album]:
    """Gives an Album; the folder with all heat maps and the page appears when the block ends well.

    Args:
      model: its path, whose folder names the training photos; None for none.
      named: what is classified: the folder must not lie in it.
      view: what of each photo is classified.

    Raises:
      DataError: the folder lies in one of `named`.
      ModelError: the answers of this model cannot be explained.
      OutputError: the folder holds something, or cannot be written.
    """
    path = Path(folder)
    annotation.check_apart(path, named, parameter="why")
    with files.new_directory(path) as new:
        made = Album(new, classifier, view)
        yield made
        if model is not None:
            made.found = with_training_photos(model, classifier, made.found, progress)
        page = explanation_page.render(
            f"{classifier.info.name or 'Model'}: where answers come from", explanation_page.of(made.shown, made.found)
        )
        (new / PAGE).write_text(page, encoding="utf-8", errors="backslashreplace", newline="\n")
