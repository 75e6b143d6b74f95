"""Forecasts of what more photos would gain, as records; `training/advice.py` makes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from model_maker import json_records


@dataclass(frozen=True)
class Estimate:
    """A forecast accuracy, 0 to 1, with its 95 % interval."""

    value: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float | list[float]]:
        """Returns JSON types."""
        return {"top1": self.value, "interval": [self.low, self.high]}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Estimate:
        """Reads `as_dict`."""
        low, high = content["interval"]
        return cls(float(content["top1"]), float(low), float(high))


@dataclass(frozen=True)
class ClassGain:
    """The forecast gain from more photos of one class.

    Attributes:
      label: the class.
      photos: number of its training photos.
      more: number of additional photos: half as many again.
      top1: forecast accuracy on all test photos.
    """

    label: str
    photos: int
    more: int
    top1: Estimate = field(metadata=json_records.FLAT)


@dataclass(frozen=True)
class Kind:
    """A kind of training photo that heads not trained on it get wrong more often than others.

    Attributes:
      text: for example "dark photos (brightness up to 61)".
      label: the class; empty for all.
      photos, wrong: number of these photos, and of wrong ones among them.
      others, others_wrong: the same of the other photos.
    """

    text: str
    label: str
    photos: int
    wrong: int
    others: int
    others_wrong: int


@dataclass(frozen=True)
class Advice:
    """Forecast gains from more photos.

    Attributes:
      photos: number of training and validation photos.
      per_class: their mean number for each class.
      test_photos, now: the test photos and the accuracy of the model on them, 0 to 1.
      curve: (photos per class, accuracy) by cross-validation, from few to many.
      forecasts: by factor of the photos of each class.
      classes: gains of single classes, the largest first.
      kinds: kinds of photos that are missing, the clearest first; None if they were not examined.
    """

    photos: int
    per_class: float
    test_photos: int
    now: float
    curve: tuple[tuple[float, float], ...]
    forecasts: dict[float, Estimate]
    classes: tuple[ClassGain, ...]
    kinds: tuple[Kind, ...] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Returns JSON types."""
        return {
            "photos": self.photos,
            "per_class": self.per_class,
            "test": {"photos": self.test_photos, "top1": self.now},
            "curve": [{"per_class": count, "top1": top1} for count, top1 in self.curve],
            "forecasts": [{"factor": factor, **found.as_dict()} for factor, found in self.forecasts.items()],
            "classes": [json_records.as_dict(one) for one in self.classes],
            "kinds": None if self.kinds is None else [json_records.as_dict(one) for one in self.kinds],
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Advice:
        """Reads `as_dict`."""
        test, kinds = content["test"], content["kinds"]
        return cls(
            int(content["photos"]),
            float(content["per_class"]),
            int(test["photos"]),
            float(test["top1"]),
            tuple((float(point["per_class"]), float(point["top1"])) for point in content["curve"]),
            {float(entry["factor"]): Estimate.from_dict(entry) for entry in content["forecasts"]},
            tuple(json_records.read(ClassGain, one) for one in content["classes"]),
            None if kinds is None else tuple(json_records.read(Kind, one) for one in kinds),
        )
