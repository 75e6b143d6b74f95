"""Everything stands in setup.cfg; this takes our apps, which are folders of their own here, into the package."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

# What building leaves there, and a model that was put there.
LEFT_OUT = shutil.ignore_patterns(
    "*.tflite", "build", "Pods", "*.xcworkspace", "xcuserdata", "local.properties", ".gradle", ".idea", ".kotlin"
)


class BuildWithApps(build_py):
    def run(self):
        super().run()
        for name in ("android_assets", "ios_assets"):
            shutil.copytree(name, Path(self.build_lib, "model_maker", name), ignore=LEFT_OUT, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithApps})
