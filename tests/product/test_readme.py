"""Every command and every line of Python in the README runs, and prints what the README shows."""

import re
import subprocess
import sys

import pages
import pytest
from checkout import ROOT

from model_maker.backbones import BACKBONES

pytestmark = pytest.mark.slow

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.base
def test_every_block_runs_and_prints_what_is_shown(tmp_path, lite0):
    printed = {}
    left_out = pages.run(README, tmp_path, printed)
    assert len(printed) + len(left_out) >= 11
    pages.skip_rest(left_out)


def test_backbone_table_is_what_the_command_prints():
    command = [sys.executable, "-m", "model_maker", "models", "--markdown"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed in (ROOT / "docs/reference/backbones.md").read_text(encoding="utf-8").split("<!-- models -->")[1]
    assert all(f"| {name} " in printed for name in BACKBONES)


@pytest.mark.parametrize("target", ["demo", "test"])
def test_both_make_targets_exist(target):
    done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target
