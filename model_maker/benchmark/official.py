"""Creates a row from the output of the official tool, on Android or in its iOS app."""

import dataclasses

from model_maker.benchmark import benchmark_model
from model_maker.benchmark.results import Row


def fill(row: Row, output: str, *, spoken: str) -> Row:
    """Fills a row from the output of the tool; `spoken` is the tool's name of the delegate, empty without one.

    Returns:
      The row with its numbers; with a reason if the delegate runs no operator; unchanged if the output has no timings.
    """
    delegation = benchmark_model.parse_delegation(output, spoken) if spoken else None
    if delegation:
        row = dataclasses.replace(row, delegation=delegation.share, delegated_kernels=delegation.kernels)
    timings = benchmark_model.parse_timings(output)
    if timings is None:
        return row
    if spoken and (delegation is None or delegation.share == "none"):
        # The numbers are those of the CPU and would be misleading for the delegate.
        refusal = benchmark_model.parse_unsupported(output, spoken)
        return dataclasses.replace(
            row,
            delegation="none",
            delegated_kernels=0,
            reason=f"{refusal or f'The {spoken} delegate supports no operator of the model'}.",
            notes=(*row.notes, f"the CPU ran it instead, in {timings.mean_ms:.3g} ms on average"),
        )
    return dataclasses.replace(row, **dataclasses.asdict(timings), ops=benchmark_model.parse_ops(output))
