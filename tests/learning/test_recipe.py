import pytest

from model_maker import options
from model_maker.errors import DataError
from model_maker.learning import recipe
from model_maker.learning.recipe import Recipe
from model_maker.options import Options, check


@pytest.mark.parametrize(("text", "expected"), [("90s", 90), ("5m", 300), ("1.5h", 5400), (" 2m ", 120)])
def test_times(text, expected):
    assert options.seconds(text) == expected


@pytest.mark.parametrize("text", ["", "5", "m", "5 minutes", "-5m", "0s", "5d"])
def test_what_is_no_time(text):
    with pytest.raises(DataError, match="pass a time such as 90s, 5m or 1h"):
        check(Options(fine_tune="tail", budget=text))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"fine_tune": "head"}, "`fine_tune='head'`: choose one of tail, all"),
        ({"epochs": 0}, "`epochs=0`"),
        ({"batch_size": -1}, "`batch_size=-1`"),
        ({"learning_rate": 0.0}, "`learning_rate=0"),
        ({"learning_rate": float("nan")}, "`learning_rate=nan"),
        ({"dropout": 1.0}, "`dropout=1"),
        ({"weight_decay": -0.1}, "`weight_decay=-0.1"),
        ({"label_smoothing": 2.0}, "`label_smoothing=2"),
        ({"mix": -1.0}, "`mix=-1"),
    ],
)
def test_refuses_values_that_mean_nothing(values, words):
    with pytest.raises(DataError, match=words):
        check(Options(**{"fine_tune": "tail"} | values))


def test_options_become_a_recipe():
    made = recipe.of(Options(fine_tune="all", epochs=3, learning_rate=0.01, seed=7))
    assert (made.scope, made.epochs, made.learning_rate, made.seed) == ("all", 3, 0.01, 7)
    assert made.batch_size == Recipe().batch_size and made.budget_s is None


def test_a_budget_limits_the_usual_epochs():
    limited = recipe.of(Options(fine_tune="tail", budget="5m"), 600)
    assert (limited.epochs, limited.budget_s) == (recipe.of(Options(fine_tune="tail"), 600).epochs, 300)
    assert recipe.of(Options(fine_tune="tail", budget="5m", epochs=2)).epochs == 2


@pytest.mark.parametrize(("photos", "epochs"), [(30, 10), (1100, 10), (1571, 7), (2345, 5), (100_000, 5)])
def test_many_photos_need_fewer_epochs(photos, epochs):
    """11,000 views, in no fewer than 5 epochs and no more than 10."""
    assert recipe.of(Options(fine_tune="tail"), photos).epochs == epochs


def test_fine_tuning_is_augmented_by_default():
    assert Options().augmentation == "none"
    assert Options(fine_tune="tail").augmentation == "standard"
    assert Options(fine_tune="tail", augment="light").augmentation == "light"


@pytest.mark.parametrize("options", [{"epochs": 3}, {"budget": "5m"}, {"mix": 0.2}])
def test_what_belongs_to_fine_tuning_is_refused_without_it(options):
    [name] = options
    with pytest.raises(DataError, match=f"`{name}` applies to fine-tuning: add `fine_tune='tail'`"):
        check(Options(**options))


def test_class_weight():
    check(Options(class_weight="none"))
    with pytest.raises(DataError, match="`class_weight='some'`: choose one of auto, none"):
        check(Options(class_weight="some"))
