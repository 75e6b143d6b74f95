"""Detects capabilities of the processor."""

from pathlib import Path

# Linux names of instructions that multiply bfloat16 matrices: Intel since Sapphire Rapids, AMD since Zen 4.
_HALVES = {"amx_bf16", "avx512_bf16"}


def multiplies_halves(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies bfloat16 faster than float32; false if unknown."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return not _HALVES.isdisjoint(flags)
