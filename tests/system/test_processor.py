from model_maker.system import processor


def test_flags_tell_what_it_multiplies(tmp_path):
    found = tmp_path / "cpuinfo"
    for flags, expected in (
        ("fpu avx2 avx512f", False),
        ("fpu avx512f avx512_bf16", True),
        ("amx_bf16 amx_tile", True),
    ):
        found.write_text(f"processor\t: 0\nmodel name\t: amx_bf16 9000\nflags\t\t: {flags}\n")
        assert processor.multiplies_halves(found) is expected


def test_systems_without_that_file(tmp_path):
    assert not processor.multiplies_halves(tmp_path / "missing")
