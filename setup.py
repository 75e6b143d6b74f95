"""Everything else stands in setup.cfg: this takes folders of their own into what is built, and readies the README."""

import re
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

APPS = ("android_assets", "ios_assets")
# What building leaves in folders, and a model that was put there.
LEFT_OUT = shutil.ignore_patterns(
    "__pycache__",
    "*.tflite",
    "head.json",
    "build",
    "Pods",
    "*.xcworkspace",
    "xcuserdata",
    "local.properties",
    ".gradle",
    ".idea",
    ".kotlin",
)


class BuildWithApps(build_py):
    def run(self):
        super().run()
        for name in APPS:
            shutil.copytree(name, Path(self.build_lib, "model_maker", name), ignore=LEFT_OUT, dirs_exist_ok=True)


class SdistWithApps(sdist):
    def make_release_tree(self, base_dir, files):
        super().make_release_tree(base_dir, files)
        for name in (*APPS, "docs"):
            shutil.copytree(name, Path(base_dir, name), ignore=LEFT_OUT, dirs_exist_ok=True)


def long_description():
    """The README, in which files of the checkout are named but not linked: beside a package they are not there."""
    readme = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    return re.sub(r"!?\[([^]]*)\]\((?!https?:)[^)]*\)", r"\1", readme)


setup(
    cmdclass={"build_py": BuildWithApps, "sdist": SdistWithApps},
    long_description=long_description(),
    long_description_content_type="text/markdown",
)
