"""Studio: one workspace with its background work, and what a page may ask of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from model_maker.demo import static_site
from model_maker.errors import DataError
from model_maker.progress import Progress
from model_maker.studio import checking, pile_order, shipping, training, training_results, uploads, workspace
from model_maker.studio.embedding_ahead import EmbeddingAhead
from model_maker.studio.jobs import Jobs
from model_maker.studio.workspace import Workspace, shown

Request = Mapping[str, Any]


class Studio:
    """What one server works on."""

    def __init__(self, workspace: Workspace):
        self.workspace = workspace
        self.ahead = EmbeddingAhead(workspace, lambda: self.jobs.is_running)
        self.jobs = Jobs(self.ahead.look)

    def __enter__(self) -> Studio:
        self.ahead.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.jobs.close()
        self.ahead.close()

    def state(self) -> dict[str, Any]:
        """Returns all that a page shows, but for what changes by the second, which is `pulse`."""
        found = workspace.as_dict(self.workspace)
        result = training_results.kept(self.workspace)
        if result:
            result = result | {"mistakes": self._with_photos(result["mistakes"])}
        return found | {
            "model": shown(self.workspace.model),
            "result": result,
            "findings": checking.kept(self.workspace, found["listing"]),
            "queue": pile_order.kept(self.workspace),
            "options": training.offered(),
            "limits": {"photo": uploads.limit(""), "archive": uploads.limit(".zip")},
            "shipped": shipping.shipped(self.workspace),
            "runtime": static_site.has_runtime(),
        }

    def pulse(self) -> dict[str, Any]:
        """Returns how work stands."""
        job = self.jobs.job
        return {
            "embedded": [self.ahead.done, self.ahead.total],
            "ready": self.ahead.is_ready,
            "job": {name: getattr(job, name) for name in job.__dataclass_fields__},
        }

    def act(self, name: str, request: Request) -> dict[str, Any]:
        """Does what a page asks for.

        Raises:
          ModelMakerError: it cannot be done; the message is for the page.
        """
        if name not in ACTIONS:
            raise DataError(f"The studio knows no {name[:40]!r}.")
        answer = ACTIONS[name](self, request)
        self.ahead.look()
        return answer or {}

    def _with_photos(self, mistakes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Adds to mistakes the photos that they are of, as far as these are where they were."""
        by_digest = self.ahead.by_digest()
        found = []
        for mistake in mistakes:
            path = by_digest.get((mistake["digest"], mistake["true"]))
            found.append(mistake | {"id": self.workspace.id_of(path) if path else None})
        return found


def _photos(request: Request) -> list[object]:
    found = request.get("photos")
    if not isinstance(found, list) or not found:
        raise DataError("Choose some photos.")
    return found


def _train(studio: Studio, request: Request) -> None:
    given = request.get("options") or {}
    if not isinstance(given, dict):
        raise DataError("Options are given by name.")
    wanted = training.chosen(given)
    training.check_replaceable(studio.workspace, agreed=request.get("replace") is True)

    def make(progress: Progress) -> None:
        training.make_model(studio.workspace, wanted, progress)
        studio.ahead.rehearsal.spare(studio.ahead.total)

    studio.jobs.start("train", make)


def _check(studio: Studio, request: Request) -> None:
    studio.jobs.start("check", lambda progress: checking.check(studio.workspace, progress))


def _queue(studio: Studio, request: Request) -> None:
    studio.jobs.start("queue", lambda progress: pile_order.sort(studio.workspace, progress))


def _ship(studio: Studio, request: Request) -> None:
    name = request.get("name")
    studio.jobs.start("ship", lambda progress: shipping.make(studio.workspace, name, progress))


# What a page may ask for, by the last part of its address.
ACTIONS: dict[str, Callable[[Studio, Request], dict[str, Any] | None]] = {
    "add_class": lambda studio, request: {"name": studio.workspace.add_class(request.get("name"))},
    "rename_class": lambda studio, request: {
        "name": studio.workspace.rename_class(request.get("name"), request.get("to"))
    },
    "merge_classes": lambda studio, request: studio.workspace.merge_classes(request.get("name"), request.get("into")),
    "delete_class": lambda studio, request: studio.workspace.delete_class(request.get("name")),
    "move": lambda studio, request: studio.workspace.move(_photos(request), request.get("to")),
    "delete": lambda studio, request: studio.workspace.delete(_photos(request)),
    "accept": lambda studio, request: checking.accept(studio.workspace, request.get("finding")),
    "undo": lambda studio, request: {"undone": studio.workspace.undo()},
    "train": _train,
    "check": _check,
    "queue": _queue,
    "ship": _ship,
    "cancel": lambda studio, request: studio.jobs.cancel(),
}
