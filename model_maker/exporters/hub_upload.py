"""push(): uploads a model and its card to the Hugging Face Hub, and optionally its demo page as a static Space.

huggingface_hub handles uploads, login (`hf auth login`, HF_TOKEN) and the Hub's address. Only what describes the model
leaves this machine: no paths, so neither the report nor run.json, and no photos except those given as examples, without
the metadata of cameras.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_maker import output_folder
from model_maker.demo import static_site
from model_maker.errors import DataError, ModelError, OutputError
from model_maker.exporters import hub_card
from model_maker.inference import training_report
from model_maker.inference.classifier import model_file
from model_maker.inference.training_report import MultiLabelReport, Report, TrainingReport
from model_maker.output_folder import CARD, LABELS, METRICS, MODEL, RUN
from model_maker.progress import Progress
from model_maker.report import front_matter
from model_maker.system import downloads
from model_maker.tflite import interpreter, metadata
from model_maker.tflite.metadata import ModelInfo

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_MESSAGE = "Upload a model made by Model Maker"
_LOG_IN = "Log in with `hf auth login`, or set HF_TOKEN to a token that may write there."


@dataclass(frozen=True)
class Pushed:
    """The result of `push`.

    Attributes:
      url: address of the repository.
      files: names of the uploaded files in it.
      space_url: address of the Space with the page; None without one.
    """

    url: str
    files: tuple[str, ...]
    space_url: str | None = None


def push(
    model: str | os.PathLike[str],
    repository: str,
    *,
    private: bool = False,
    space: str | None = None,
    examples: Sequence[str | os.PathLike[str]] = (),
    datasets: Sequence[str] = (),
    message: str = _MESSAGE,
    progress: Progress | None = None,
) -> Pushed:
    """Uploads a model to the Hub; skips files that are already there.

    Args:
      model: an output folder of `train` or `starter`.
      repository: "owner/name", created if it does not exist.
      private: whether a new repository or Space is private.
      space: "owner/name" of a static Space to create, with the page that runs the model in browsers; None for none.
      examples: photos to publish at reduced size; the Hub shows the model's answers beside them.
      datasets: "owner/name" of datasets on the Hub that the model was trained on.

    Raises:
      ModelError: there is no model with a card, or LiteRT.js, which the page needs, is not installed.
      DataError: the name of a repository is invalid, or an example is not a photo.
      OutputError: the Hub cannot be reached, or refuses.
    """
    for name in (repository, *([space] if space else []), *datasets):
        if not _NAME.fullmatch(name):
            raise DataError(f"{name!r} is not a repository name. Pass OWNER/NAME, for example ada/flowers.")
    progress = Progress(progress)
    path = model_file(model)
    content = interpreter.read(path)
    info = metadata.read(content)
    files = model_files(output_folder.home(model), content, info)
    if examples or datasets:
        files |= hub_card.completed(files[CARD].decode(), path, examples, datasets)
    page = {**static_site.site(model), CARD: _space_card(info, repository).encode()} if space else {}
    api = _api()
    with progress.stage(f"Upload {repository}"):
        url = _upload(api, repository, files, "model", private, message)
    space_url = None
    if space:
        with progress.stage(f"Upload the Space {space}"):
            space_url = _upload(api, space, page, "space", private, message)
    return Pushed(url, tuple(sorted(files)), space_url)


def model_files(folder: Path, content: bytes, info: ModelInfo) -> dict[str, bytes]:
    """Returns the files of the repository: name to content.

    Raises:
      ModelError: the folder has no card, or the model no labels.
      DataError: its metrics are damaged, and its card was written by an older version.
    """
    if not info.labels or not (folder / CARD).is_file():
        raise ModelError(f"{folder} holds no classifier with a {CARD}. Give a folder that `train` or `starter` made.")
    found = {MODEL: content, LABELS: "\n".join(info.labels).encode()}
    if (folder / METRICS).is_file():
        found[METRICS] = (folder / METRICS).read_bytes()
    card = (folder / CARD).read_text(encoding="utf-8")
    if not card.startswith("---\n"):  # of an edited model, or by an older version
        kind: type[Report] = MultiLabelReport if info.multi_label else TrainingReport
        report = training_report.read(folder, kind) if (folder / RUN).is_file() else None
        test, fingerprint = (report.test, report.fingerprint) if report else (None, "")
        card = front_matter.compose(info, test, fingerprint) + card
    for plot in sorted(folder.glob("*.png")):
        if plot.name in card:
            found[plot.name] = plot.read_bytes()
    return found | {CARD: card.encode()}


def _space_card(info: ModelInfo, repository: str) -> str:
    from huggingface_hub import SpaceCardData

    # Cross-origin isolation, which LiteRT.js needs for threads.
    headers = {
        "cross-origin-embedder-policy": "require-corp",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "cross-origin",
    }
    data = SpaceCardData(
        title=info.name, sdk="static", app_file=static_site.INDEX, models=[repository], custom_headers=headers
    )
    return f"---\n{data.to_yaml()}\n---\n\n{info.name}: a model that runs in the browser; photos stay on the device.\n"


def _api() -> Any:
    for name in ("DISABLE_PROGRESS_BARS", "DISABLE_TELEMETRY"):
        os.environ.setdefault(f"HF_HUB_{name}", "1")
    import huggingface_hub

    api = huggingface_hub.HfApi(library_name="model_maker")
    if not downloads.reachable(api.endpoint):
        raise OutputError(f"{api.endpoint} cannot be reached. Try again with a network.")
    return api


def _upload(api: Any, name: str, files: dict[str, bytes], kind: str, private: bool, message: str) -> str:
    from huggingface_hub import CommitOperationAdd
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    more = {"space_sdk": "static"} if kind == "space" else {}
    try:
        made = api.create_repo(name, repo_type=kind, private=private, exist_ok=True, **more)
        adds = [CommitOperationAdd(path, content) for path, content in files.items()]
        api.create_commit(name, adds, commit_message=message, repo_type=kind)
    except LocalTokenNotFoundError as error:
        raise OutputError(f"{api.endpoint} does not accept your login. {_LOG_IN}") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        advice = _LOG_IN if status in (401, 403) else "Run the same command again; what was uploaded is not sent again."
        raise OutputError(f"{api.endpoint} answers {status} for {name}. {advice}") from error
    except Exception as error:  # from its HTTP client or the Hub; neither is documented
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise OutputError(
            f"The upload to {name} broke off ({reason[:200]}). Run the same command again; what was uploaded is "
            "not sent again."
        ) from error
    return str(made)
