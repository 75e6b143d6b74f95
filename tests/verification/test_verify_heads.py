"""A file of `combine` in every runtime: each head is run and compared, the published apps see the first."""

import json
from dataclasses import replace

import numpy as np
import pytest

import model_maker
from model_maker import Classifier, cli
from model_maker.errors import DataError, ModelError
from model_maker.normalization import Normalization
from model_maker.tflite import graph, metadata, output_heads
from model_maker.verification import clients, verify
from model_maker.verification.certificate import RAN, SAME

LITERT = ("LiteRT, XNNPACK", "LiteRT, no delegate", "LiteRT, reference")


@pytest.fixture(scope="module")
def both(conv_embedder, tmp_path_factory):
    """Two heads on a small network: one knows the classes of the photos, the other two classes of its own."""
    random = np.random.default_rng(5)
    sizes, labels = (3, 2), (("a", "b", "ü"), ("day", "night"))
    single = [graph.attach_head(conv_embedder, random.normal(size=(size, 16)), np.zeros(size)) for size in sizes]
    content = output_heads.combine(single, ("letters", "light"))
    info = metadata.ModelInfo(normalization=Normalization(127, 128))
    heads = {name: replace(info, labels=own) for name, own in zip(("letters", "light"), labels, strict=True)}
    path = tmp_path_factory.mktemp("both") / "both.tflite"
    path.write_bytes(metadata.write_heads(content, heads))
    return path


def test_litert_runs_each_head_of_the_whole_file(both, photos, nowhere_else):
    found = model_maker.verify(both, data=photos)
    assert [(run.name, run.head) for run in found.runs] == [
        (name, head) for name in LITERT for head in ("letters", "light")
    ]
    letters, light = found.runs[:2]
    truth = Classifier(both, head="letters").evaluate(photos).top1
    assert (letters.accuracy, letters.same_answer, letters.photos) == (truth, 11, 11)
    # Nothing is known of day and night in these photos.
    assert (light.right, light.accuracy, light.same_answer) == (None, None, 11)
    assert found.failures == []


def test_apps_of_ours_show_each_head_and_published_ones_the_first(both, photos, nowhere_else):
    found = model_maker.verify(both, data=photos)
    of_light = {run.name for run in found.apps if run.head == "light"}
    assert of_light == {"Model Maker's Android app", "Model Maker's iOS app"}


def test_one_head_is_chosen_by_name(both, photos, nowhere_else, capsys):
    found = model_maker.verify(both, data=photos, head="letters")
    assert {run.head for run in (*found.runs, *found.apps)} == {"letters"}
    with pytest.raises(ModelError, match="no head of that name; it has letters, light"):
        model_maker.verify(both, data=photos, head="smell")
    with pytest.raises(DataError, match="does not know: a, b, ü"):
        model_maker.verify(both, data=photos, head="light")
    command = ["model_maker", "verify", str(both), "--data", str(photos)]
    assert cli.main(cli.parse([*command, "--head", "letters", "--json"])) == 0
    assert {run["head"] for run in json.loads(capsys.readouterr().out)["runtimes"]} == {"letters"}
    assert cli.main(cli.parse(command)) == 0
    assert "LiteRT, XNNPACK, light" in capsys.readouterr().out.replace("\n", " ")


def test_another_runtime_is_judged_by_head(both, photos, elsewhere):
    def swapped(path, files, sizes):
        assert sizes == {0: 3, 1: 2}
        of = {name: list(Classifier(path, head=name).scores(files)) for name in ("letters", "light")}
        return {0: np.array(of["letters"]), 1: 1 - np.array(of["light"])}

    elsewhere(swapped=swapped)
    same = {run.head: run for run in model_maker.verify(both, data=photos).runs[6:] if run.pixels == SAME}
    assert same["letters"].same_answer == 11 and same["letters"].largest_difference == 0
    assert same["light"].same_answer < 11 and same["light"].largest_difference > 0


@pytest.mark.slow
def test_every_runtime_that_is_here_gives_each_head(both, photos):
    found = model_maker.verify(both, data=photos)
    ran = [run for run in found.runs[6:] if run.state == RAN]
    if not ran:
        pytest.skip("no runtime beside LiteRT: " + "; ".join(run.why for run in found.runs[6:]))
    assert found.failures == []
    for run in ran:
        if run.pixels == SAME:
            # Float kernels add up in another order.
            assert (run.same_answer, run.largest_difference) == (11, pytest.approx(0, abs=1e-3)), run
    for client in {run.name for run in ran} & set(clients.CLIENTS):
        assert {run.head for run in ran if run.name == client} == {"letters", "light"}
    assert set(verify.ELSEWHERE) >= {run.name for run in ran}


@pytest.mark.slow
@pytest.mark.parametrize("client", clients.CLIENTS)
def test_phone_clients_keep_to_the_thresholds_of_each_head(both, photos, tmp_path, client):
    heads = metadata.read_heads(content := both.read_bytes())
    limits = {"letters": (0.2, 0.4, 0.6), "light": (0.5, 0.7)}
    ruled = {
        name: replace(info, threshold=min(limits[name]), label_thresholds=limits[name]) for name, info in heads.items()
    }
    (cut := tmp_path / "cut.tflite").write_bytes(metadata.write_heads(graph.pack(graph.parse(content)), ruled))
    files = sorted(photos.rglob("*.png"))[:4]
    try:
        whole, found = clients.ask(client, [both, cut], files)
    except clients.NotHere as reason:
        pytest.skip(str(reason))
    assert (found.refusal, len(found.heads)) == ("", 2)
    for name, all_of, kept in zip(limits, whole.heads, found.heads, strict=True):
        for photo, rest in zip(all_of, kept, strict=True):
            expected = {entry.index: entry.score for entry in photo if entry.score >= limits[name][entry.index]}
            assert {entry.index: entry.score for entry in rest} == pytest.approx(expected, abs=1e-6)
