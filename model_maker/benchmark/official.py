"""A row from what the official tool printed, on Android or in its iOS app."""

from __future__ import annotations

import dataclasses

from model_maker.benchmark import benchmark_model
from model_maker.benchmark.results import Row


def fill(row: Row, output: str, *, spoken: str) -> Row:
    """Fills a row with what the tool printed.

    Args:
      row: what was run.
      output: all of it.
      spoken: how the tool names the delegate; empty where nothing is delegated.

    Returns:
      The row with its numbers; with a reason if the delegate took nothing of the model; as it was if there are no
      timings in the output.
    """
    delegation = benchmark_model.parse_delegation(output, spoken) if spoken else None
    if delegation:
        row = dataclasses.replace(row, delegation=delegation.share, delegated_kernels=delegation.kernels)
    timings = benchmark_model.parse_timings(output)
    if timings is None:
        return row
    if spoken and (delegation is None or delegation.share == "none"):
        # The numbers are the CPU's: under the delegate's name they would mislead.
        refusal = benchmark_model.parse_unsupported(output, spoken)
        return dataclasses.replace(
            row,
            delegation="none",
            delegated_kernels=0,
            reason=f"{refusal or f'The {spoken} delegate took no operator of the model'}.",
            notes=(*row.notes, f"the CPU ran it instead, in {timings.mean_ms:.3g} ms on average"),
        )
    return dataclasses.replace(row, **dataclasses.asdict(timings), ops=benchmark_model.parse_ops(output))
