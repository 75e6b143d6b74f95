"""A studio in a new folder, and who asks it."""

import io

import numpy as np
import pytest
from PIL import Image
from studio_client import StudioClient

from model_maker.studio.studio import Studio
from model_maker.studio.studio_server import serving
from model_maker.studio.workspace import Workspace


class QuietStudio(Studio):
    """A studio that embeds nothing in the background: tests of files need no backbone."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.jobs.close()


@pytest.fixture
def jpeg():
    """jpeg(seed): the bytes of a small photo."""

    def make(seed=0):
        file = io.BytesIO()
        pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(file, "JPEG")
        return file.getvalue()

    return make


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "garden")


@pytest.fixture
def client(workspace):
    """Asks a studio of the workspace, with one class, rose."""
    workspace.add_class("rose")
    with QuietStudio(workspace) as studio, serving(studio) as server:
        yield StudioClient(server.url)
