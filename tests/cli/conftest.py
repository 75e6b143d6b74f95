"""A folder with a model that the command line trained, once for all tests of commands."""

import pytest
from command import model_maker, said

from model_maker.data import sample_data


@pytest.fixture(scope="session")
def desk(tmp_path_factory, lite0):
    """A folder with drawn flowers and a model trained on them by the command line."""
    folder = tmp_path_factory.mktemp("desk")
    sample_data.draw(folder / "flowers", per_class=12)
    done = model_maker("train", "--data", "flowers", "--json", cwd=folder)
    assert done.returncode == 0, said(done)
    (folder / "train.json").write_bytes(done.stdout)
    return folder
