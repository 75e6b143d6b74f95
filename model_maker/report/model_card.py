"""The model card, README.md: what the Hub reads, description, intended use, accuracy, limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from model_maker.data import imagenet
from model_maker.evaluation import Metrics
from model_maker.fitting import Fit
from model_maker.inference.training_report import MultiLabelReport, Report
from model_maker.report import front_matter, pages
from model_maker.tflite.metadata import ModelInfo

if TYPE_CHECKING:  # the registry brings every family of networks along
    from model_maker.backbones.registry import Backbone


def render(info: ModelInfo, report: Report, *, backbone: str, quantize: str, io: str, fit: Fit) -> str:
    """Returns Markdown.

    Args:
      backbone: name of the pretrained network.
      quantize, io: as given to `train`.
      fit: the input, and how photos are fitted to it.
    """
    template = "multi_label_card.md" if isinstance(report, MultiLabelReport) else "model_card.md"
    return front_matter.compose(info, report.test, report.fingerprint) + pages.render(
        template, info=info, report=report, backbone=backbone, quantize=quantize, io=io, fit=fit
    )


def render_starter(info: ModelInfo, model_bytes: int, *, backbone: Backbone, quantize: str, io: str) -> str:
    """Returns the Markdown of a starter model with the published accuracy, because nothing was trained."""
    shares = {"float": backbone.top1, "int8": backbone.top1_int8}
    return front_matter.compose(info) + pages.render(
        "starter_card.md",
        info=info,
        backbone=backbone,
        classes=imagenet.described(backbone.classes),
        published={kind: share for kind, share in shares.items() if share is not None},
        model_bytes=model_bytes,
        quantize=quantize,
        io=io,
    )


def render_zero_shot(
    info: ModelInfo,
    model_bytes: int,
    *,
    tier: str,
    source: str,
    meanings: Sequence[str],
    backbone: str,
    fit: Fit,
    metrics: Metrics | None,
) -> str:
    """Returns the Markdown of a model that was made without photos.

    Args:
      tier, source: which tier answered, and what it knows words from.
      meanings: what each label was taken for.
      backbone, fit: the pretrained network and its input.
      metrics: where it was measured.
    """
    return front_matter.compose(info, metrics) + pages.render(
        "zero_shot_card.md",
        info=info,
        model_bytes=model_bytes,
        tier=tier,
        source=source,
        meanings=list(zip(info.labels, meanings, strict=True)),
        backbone=backbone,
        fit=fit,
        metrics=metrics,
    )


def render_edited(record: dict[str, Any], *, name: str, size_bytes: int) -> str:
    """Returns the Markdown of a model whose classes were edited; `record` is the content of `classes.json`."""
    return pages.render(
        "edited_card.md", name=name, size_bytes=size_bytes, **{key: record[key] for key in ("labels", "new", "old")}
    )


def render_combined(record: dict[str, Any], *, name: str) -> str:
    """Returns the Markdown of several classifiers in one file; `record` is the content of `combined.json`."""
    return pages.render("combined_card.md", name=name, **record)
