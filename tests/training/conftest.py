"""Drawn flowers, and a model that `train` made of them, once for all tests of training."""

import pytest
from heard import Heard

import model_maker
from model_maker.data import sample_data


@pytest.fixture(scope="session")
def flowers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos") / "flowers"
    sample_data.draw(folder, per_class=14)
    return folder


@pytest.fixture(scope="session")
def run(flowers, tmp_path_factory, lite0):
    heard = Heard()
    output = tmp_path_factory.mktemp("models") / "flowers_model"
    return model_maker.train(flowers, output, progress=heard, folds=3), heard
