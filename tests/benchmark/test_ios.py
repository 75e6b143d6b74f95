"""What the iOS benchmark app leaves behind.

The beginning of CONSOLE is a recording from an iPhone, shortened; its end, and the texts below, follow the source of
the tool and of the app (`OutputMicrosecondsStatToStream`), with numbers made for the test.
"""

import pytest
from checkout import HELPERS

from model_maker.benchmark import ios
from model_maker.errors import DataError

CONSOLE = (HELPERS / "recordings/ios_benchmark_console.txt").read_text(encoding="utf-8")

COREML = """2022-09-06 13:15:37.049363-0700 TFLiteBenchmark[54612:4020499] Initialized TensorFlow Lite runtime.
INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Graph: [/private/var/containers/Bundle/Application/X/TFLiteBenchmark.app/flowers.tflite]
INFO: Use CoreML: [1]
{said}
INFO: count=50 first=3000 curr=3000 min=2900 max=3500 avg=3100 std=100
INFO: Inference timings in us: Init: 90000, First inference: 9000, Warmup (avg): 3200, Inference (avg): 3100
"""
TAKEN = (
    "INFO: Explicitly applied COREML delegate, and the model graph will be partially executed by the delegate w/ 2 "
    "delegate kernels."
)
REFUSED = "INFO: Though COREML delegate is explicitly applied, the model graph will not be executed by the delegate."

SCREEN = """Startup latency: 12.5 ms

Inference:
 - Num runs: 50
 - Average: 7.25 ms
 - Min: 7 ms 
 - Max: 9.5 ms 
 - Std deviation: 0.5 ms

Warmup:
 - Num runs: 60
 - Average: 8.125 ms
 - Min: 7 ms 
 - Max: 30 ms 
 - Std deviation: 2 ms
"""  # noqa: W291 - the app prints these spaces


def test_a_console_log():
    (row,), (model,) = ios.read(CONSOLE, "console.txt")
    assert (row.model, row.delegate, row.threads) == ("ARC_PSD-001_float32.tflite", "xnnpack", 4)
    assert (row.init_ms, row.first_ms, row.warmup_ms) == (195.673, 200.505, 191.261)
    assert (row.count, row.min_ms, row.max_ms, row.mean_ms, row.std_ms) == (50, 180, 190, 185.5, 2)
    assert (row.median_ms, row.reason) == (None, "")
    assert (model.path, model.name, model.size_bytes) == (row.model, "ARC_PSD-001_float32", 44_767_700)


@pytest.mark.parametrize(
    "prefix",
    [
        "2022-09-06 13:15:37.049363-0700 TFLiteBenchmark[54612:4020499] ",
        "Sep  6 13:15:37 iPhone TFLiteBenchmark(Foundation)[54612] <Notice>: ",
    ],
)
def test_the_system_log_puts_its_own_in_front(prefix):
    prefixed = "\n".join(prefix + line for line in CONSOLE.splitlines())
    assert ios.read(prefixed, "console.txt")[0] == ios.read(CONSOLE, "console.txt")[0]


def test_core_ml_with_a_part_of_the_model():
    (row,), _ = ios.read(COREML.format(said=TAKEN), "console.txt")
    assert (row.delegate, row.threads, row.mean_ms) == ("coreml", 1, 3.1)
    assert (row.delegation, row.delegated_kernels) == ("partial", 2)


def test_core_ml_that_took_nothing_is_no_time_of_core_ml():
    (row,), _ = ios.read(COREML.format(said=REFUSED), "console.txt")
    assert row.reason == "The COREML delegate took no operator of the model."
    assert row.mean_ms is None


def test_several_runs_in_one_log():
    rows, models = ios.read(CONSOLE + COREML.format(said=TAKEN) + CONSOLE.replace("threads: [4]", "threads: [2]"), "x")
    assert [(row.delegate, row.threads) for row in rows] == [("xnnpack", 4), ("coreml", 1), ("xnnpack", 2)]
    assert [model.name for model in models] == ["ARC_PSD-001_float32", "flowers"]


def test_the_text_on_the_screen():
    (row,), (model,) = ios.read(SCREEN, "screen.txt", threads=2, delegate="gpu")
    assert (row.delegate, row.threads) == ("gpu", 2)
    assert (row.init_ms, row.warmup_ms) == (12.5, 8.125)
    assert (row.count, row.mean_ms, row.min_ms, row.max_ms, row.std_ms) == (50, 7.25, 7, 9.5, 0.5)
    assert model.name == "screen.txt"


def test_what_the_screen_does_not_say_is_unknown():
    (row,), _ = ios.read(SCREEN, "screen.txt")
    assert (row.delegate, row.threads) == ("unknown", None)


def test_what_is_given_must_not_contradict_the_log():
    with pytest.raises(DataError, match="console.txt says threads 4, not 2. Leave --threads out"):
        ios.read(CONSOLE, "console.txt", threads=2)
    with pytest.raises(DataError, match="says delegate xnnpack, not gpu"):
        ios.read(CONSOLE, "console.txt", delegate="gpu")


@pytest.mark.parametrize("text", ["", "Hello", CONSOLE[: CONSOLE.index("INFO: Inference timings")], '{"a": 1}'])
def test_a_text_without_a_result_says_what_it_should_hold(text):
    with pytest.raises(DataError, match="has no result of the iOS benchmark app") as caught:
        ios.read(text, "console.txt")
    assert "\n" not in str(caught.value)
