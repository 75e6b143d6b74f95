"""Compares two records row by row: regressions, and whether they are significant."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from model_maker.benchmark.results import Record, Row, estimate
from model_maker.errors import DataError

FAIL_OVER = 0.05

# Model, delegate, threads.
Key = tuple[str, str, int | None]


@dataclass(frozen=True)
class Pair:
    """One cell in both records.

    Attributes:
      base_ms, new_ms: the typical times; None if it could not run.
      change: of the time, as a share of the base's.
      verdict: "slower" (a regression), "faster", "failed" (it ran before; also a regression), or why it is not a
      regression.
    """

    model: str
    delegate: str
    threads: int | None
    base_ms: float | None
    new_ms: float | None
    change: float | None
    verdict: str

    @property
    def regression(self) -> bool:
        return self.verdict in ("slower", "failed")


@dataclass(frozen=True)
class RecordComparison:
    """All pairs, and notes on other differences."""

    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]

    @property
    def regressions(self) -> int:
        return sum(pair.regression for pair in self.pairs)

    def as_dict(self) -> dict:
        """Plain JSON types."""
        pairs = [dataclasses.asdict(pair) | {"regression": pair.regression} for pair in self.pairs]
        return {"regressions": self.regressions, "notes": list(self.notes), "pairs": pairs}


def compare(base: Record, new: Record, *, fail_over: float = FAIL_OVER, force: bool = False) -> RecordComparison:
    """Compares two records.

    A row is slower if its time has grown by more than the share `fail_over` and the intervals do not overlap. With
    `force`, records of different machines are compared, too.

    Raises:
      DataError: the machines differ, or the records have no row in common.
    """
    notes = list(_unlike(base, new))
    if notes and not force:
        raise DataError(f"The machines differ: {'; '.join(notes)}. Pass --force to compare anyway.")
    found = _rows(new)
    renamed = _only(base) and _only(new) or ""
    pairs = []
    for key, row in _rows(base).items():
        other = found.pop((renamed or key[0], *key[1:]), None)
        if other:
            pairs.append(_pair(key, row, other, fail_over))
        else:
            notes.append(f"{_name(key)} is in the base only")
    if not pairs:
        raise DataError("The records have no row in common (model, delegate and threads). Measure the same cells.")
    notes += [f"{_name(key)} is new" for key in found]
    return RecordComparison(tuple(pairs), tuple(notes + list(_differences(base, new))))


def _pair(key: Key, base: Row, new: Row, fail_over: float) -> Pair:
    model, delegate, threads = key
    before, after = estimate(base), estimate(new)
    if before is None or after is None:
        verdict = "could not run before" if before is None else "failed"
        times = before.value_ms if before else None, after.value_ms if after else None
        return Pair(model, delegate, threads, *times, None, "failed in both" if before is after else verdict)
    change = after.value_ms / before.value_ms - 1
    if before.of != after.of:
        verdict = f"a {before.of} against a {after.of}"
    elif after.low_ms <= before.high_ms and before.low_ms <= after.high_ms:
        verdict = "within the intervals"
    elif change > fail_over:
        verdict = "slower"
    elif change < -fail_over:
        verdict = "faster"
    else:
        verdict = f"within {100 * fail_over:g} %"
    return Pair(model, delegate, threads, before.value_ms, after.value_ms, change, verdict)


def _rows(record: Record) -> dict[Key, Row]:
    found: dict[Key, Row] = {}
    for row in record.rows:
        key = record.model(row.model).name, row.delegate, row.threads
        if key in found:
            raise DataError(f"A record has two rows of {_name(key)}, which cannot be distinguished.")
        found[key] = row
    return found


def _only(record: Record) -> str:
    """The name of the only model: two builds of one model often have different names."""
    return record.models[0].name if len(record.models) == 1 else ""


def _name(key: Key) -> str:
    model, delegate, threads = key
    return f"{model} {delegate}" + (f" {threads}" if threads else "")


def _unlike(base: Record, new: Record) -> Iterator[str]:
    before, after = base.machine.identity, new.machine.identity
    for what, value in before.items():
        if after[what] != value:
            yield f"{what} was {value or 'unknown'} and is {after[what] or 'unknown'}"


def _differences(base: Record, new: Record) -> Iterator[str]:
    """Yields differences that may explain a change but do not prevent the comparison."""
    for what, record in (("base", base), ("new", new)):
        yield from (f"{noise} in the {what} measurement" for noise in (record.load.noise() if record.load else ()))
    for name, version in base.machine.versions.items():
        now = new.machine.versions.get(name)
        if now != version:
            yield f"{name} was {version} and is {now or 'unknown'}"
    names = {model.name: model for model in new.models}
    for model in base.models:
        other = new.models[0] if _only(base) and _only(new) else names.get(model.name)
        if other and other.sha256 != model.sha256:
            yield f"{model.name} is a different file now"
        if other and model.top1 is not None and other.top1 is not None and model.top1 != other.top1:
            yield f"top-1 of {model.name} was {100 * model.top1:.1f} % and is {100 * other.top1:.1f} %"
