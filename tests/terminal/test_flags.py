"""Parameters in messages of the library, as flags of a command."""

import pytest

from model_maker import cli
from model_maker.terminal import flags


def parsed(*arguments):
    return cli.parse(["model_maker", *arguments]).parser


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Use `io='float32'`.", "Use --io float32."),
        ("Pass `data=DIR`.", "Pass --data DIR."),
        ("`image_size=20`: too small", "--image-size 20: too small"),
        ("pass `overwrite=True` to replace it", "pass --overwrite to replace it"),
        ("`max_size_mb=-1`: give a number above 0.", "--max-size -1: give a number above 0."),
        ("made by `train`, see `model_maker export x`", "made by `train`, see `model_maker export x`"),
    ],
)
def test_parameters_become_flags_and_other_words_stay(message, shown):
    assert flags.in_flags(message, parsed("train", "--data", "x")) == shown


def test_advice_of_another_command_names_its_flag():
    assert flags.in_flags("Use train `quantize='int8'`.", parsed("export", "m", "--output", "o")) == (
        "Use train --quantize int8."
    )


def test_a_parameter_whose_flag_has_another_name_is_translated():
    assert flags.in_flags("`formats=nothing`: choose", parsed("export", "m", "--output", "o")) == (
        "--format nothing: choose"
    )
