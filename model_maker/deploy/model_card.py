"""The README.md beside a model: what it is, what it is worth, how to use it."""

from __future__ import annotations

from typing import Any

from model_maker.backbones.registry import Backbone
from model_maker.deploy import markdown
from model_maker.tflite.metadata import ModelInfo


def render(info: ModelInfo, report: dict[str, Any], *, backbone: str, quantize: str, io: str, image_size: int) -> str:
    """Returns Markdown.

    Args:
      info: the model's metadata.
      report: the content of `metrics.json`.
      backbone: name of the pretrained network.
      quantize, io: as given to `train`.
      image_size: pixels.
    """
    test, photos, agreement = report["test"], report["photos"], report["agreement"]
    low, high = (100 * end for end in test["top1_interval"])
    classes = "\n".join(
        f"| {markdown.text(label)} | {entry['photos']} "
        f"| {entry['precision']:.3f} | {entry['recall']:.3f} | {entry['f1']:.3f} |"
        for label, entry in test["per_class"].items()
    )
    pixels = "raw pixels, 0 to 255"
    if io == "float32" and info.normalization:
        pixels = f"pixels as (value - {info.normalization.mean:g}) / {info.normalization.std:g}"
    unknown, none = _unknown(info, report), " or none" if info.threshold else ""
    same = f"same answer on {100 * agreement['same_top1']:.1f} %"
    run = report["float"]["photos"]
    which = "the same photos" if run == test["photos"] else f"{run} of these photos"
    seen = report["cross_validation"]
    features = seen["candidates"][seen["layers"]]["features"]
    tuned = report.get("fine_tuning", {}).get("improved")
    name = markdown.text(backbone)
    network = f"{name}, fine-tuned on its photos" if tuned else f"a head on frozen {name} features"
    steps = ", in steps of 1/256" if io == "uint8" else ""
    return f"""# {markdown.text(info.name)}

An image classifier for {len(info.labels)} classes: {network}, in `model.tflite`.

| | |
|---|---|
| top-1 on {test["photos"]} test photos | {100 * test["top1"]:.1f} % (95 % interval {low:.1f} to {high:.1f}) |
| the float model on {which} | {100 * report["float"]["top1"]:.1f} %, {same} |
| calibration error (ECE) | {test["ece"]:.3f} |
| layers that the head sees | {seen["layers"]}, {features:,} features |
| quantization | {quantize} |
| size | {report["sizes"]["model_bytes"] / 1e6:.2f} MB |
| trained on | {photos["train"] + photos["validation"]} photos |
| data fingerprint | `{report["fingerprint"][:16]}` |
| licence | {markdown.text(info.licence)} |

## Input and output

- Input: `[1, {image_size}, {image_size}, 3]` {io}, RGB, the whole photo stretched to the square,
  {pixels}.
- Output: `[1, {len(info.labels)}]` {io}, probabilities in the order of `labels.txt`{steps}.

Labels and normalization are inside the file as TFLite metadata, where TFLite Task Library and MediaPipe Tasks read
them.

## Per class

| class | test photos | precision | recall | F1 |
|---|---|---|---|---|
{classes}

{unknown}
## Limits

It knows these classes only and gives every picture one of them{none}. Figures hold for photos like those it was
trained on; the interval above says how far {test["photos"]} test photos can tell.
"""


def render_starter(info: ModelInfo, model_bytes: int, *, backbone: Backbone, quantize: str, io: str) -> str:
    """Returns the Markdown of a starter model; its accuracy is what is published, for nothing was trained."""
    shares = {"float": backbone.top1, "int8": backbone.top1_int8}
    published = ", ".join(f"{share} % ({kind})" for kind, share in shares.items() if share is not None)
    return f"""# {markdown.text(info.name)}

A ready classifier for ImageNet's 1000 classes: {backbone.name} with its published weights, in `model.tflite`. Nothing
was trained, so it serves to try an app with; `model_maker train` makes one that knows your own classes.

| | |
|---|---|
| published top-1 on ImageNet | {published or "none"} |
| source | {backbone.source} |
| quantization | {quantize} |
| size | {model_bytes / 1e6:.2f} MB |
| licence | {markdown.text(info.licence)} |

- Input: `[1, {backbone.image_size}, {backbone.image_size}, 3]` {io}, RGB, the whole photo stretched to the square.
- Output: `[1, 1000]` {io}, probabilities in the order of `labels.txt`.
"""


def _unknown(info: ModelInfo, report: dict[str, Any]) -> str:
    """What score thresholds bring: the model's own, and some others."""
    others = [(f"{entry['score']:g}", entry) for entry in report["trade_off"]]
    own, text = [], "Answers can be limited to good scores; `train --precision 0.95` chooses a threshold."
    if info.threshold:
        name = "the label's own" if info.label_thresholds else f"{info.threshold:g}, the model's"
        own = [(name, report["thresholds"]["test"])]
        text = "Below its threshold a photo is unknown; clients that read the metadata leave such labels out."
    rows = "\n".join(
        f"| {name} | {100 * entry['coverage']:.1f} % | {100 * entry['precision']:.1f} % |"
        for name, entry in own + others
    )
    return f"""## Answers and unknown

{text}

| answer from score | test photos answered | answers that are right |
|---|---|---|
{rows}
"""
