"""The engine `ray`, on a cluster of two nodes on this machine: nothing that happens to it changes a byte."""

import contextlib
import dataclasses
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import embedding_arrays
import numpy as np
import pytest
from checkout import HELPERS
from heard import Heard
from watched_photos import OnlyHere, Twofold, Watched, readings

import model_maker
from model_maker.data import sources
from model_maker.data.augment import PRESETS
from model_maker.data.entries import ListedPhoto
from model_maker.embeddings import cluster as clusters
from model_maker.embeddings import engines, ray_engine
from model_maker.errors import ClusterError, DataError
from model_maker.normalization import Normalization
from model_maker.options import Options, check
from model_maker.system import extras

pytestmark = pytest.mark.ray

PIXELS = Normalization(mean=127.0, std=128.0)
# The least that Ray takes, with some room: nothing large passes through it.
NODE = {"num_cpus": 1, "object_store_memory": 100 << 20}
BATCH = 8


@pytest.fixture(scope="module")
def nodes():
    """A cluster of two nodes with a core each; this process joins it and leaves it as a user's would."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # Nobody else may use it, though it listens on this machine's address; Ray reads this when it is imported.
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        # Nodes import photos of the tests' own kinds.
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), str(HELPERS), *sys.path]))
        from ray.cluster_utils import Cluster

        # A node that is lost is missed sooner than after Ray's usual fifteen seconds.
        soon = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 1000, "health_check_failure_threshold": 6}
        head = NODE | {"include_dashboard": False, "_system_config": soon}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        cluster.add_node(**NODE)
        yield cluster
        cluster.shutdown()


@pytest.fixture
def ray(nodes, tmp_path, monkeypatch):
    """The engine on that cluster, with a folder of shards for each test, and small batches."""
    for name in ("MOST_EMBEDDED", "MOST_HASHED", "LEAST"):
        monkeypatch.setattr(ray_engine, name, BATCH)
    return engines.ENGINES["ray"](nodes.address, str(tmp_path / "shards"), pytest.fail)


@pytest.fixture
def photos(make_photos, tmp_path):
    """48 photos of two classes, a copy of one, and two files that are no photos."""
    folder = tmp_path / "photos"
    make_photos(folder, {"red": 24, "blue": 24})
    shutil.copy(folder / "red/003.png", folder / "red/copy.png")
    whole = (folder / "blue/007.png").read_bytes()
    (folder / "blue/torn.png").write_bytes(whole[: len(whole) // 2])
    (folder / "red/text.jpg").write_text("not a photo")
    return sources.read(folder)


def embed(photos, embedder, engine, cache, monkeypatch, *, normalization=PIXELS, **more):
    """Embeds into a cache of its own; returns embeddings, skipped files, and the bytes of the store."""
    monkeypatch.setenv("MODEL_MAKER_CACHE", str(cache))
    vectors, skipped = embedding_arrays.embed(photos, embedder, normalization, engine=engine, **more)
    store = {path.name: path.read_bytes() for path in (cache / "embeddings").iterdir()}
    return vectors, skipped, store


def same(one, other):
    np.testing.assert_array_equal(one[0], other[0])
    assert one[1:] == other[1:]


def watched(photos, log, seconds):
    samples = (dataclasses.replace(s, path=Watched(str(s.path), str(log), seconds)) for s in photos.samples)
    return dataclasses.replace(photos, samples=tuple(samples))


def until(condition, *, seconds=60):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return found


@pytest.mark.parametrize(
    "more", [{}, {"views": 3, "augmentation": PRESETS["standard"], "seed": 5}], ids=["plain", "views"]
)
def test_two_nodes_give_the_bytes_of_one_machine(ray, photos, conv_embedder, tmp_path, monkeypatch, more):
    local = embed(photos, conv_embedder, engines.LOCAL, tmp_path / "local", monkeypatch, **more)
    heard = Heard()
    there = embed(
        photos,
        conv_embedder,
        ray,
        tmp_path / "ray",
        monkeypatch,
        progress=heard,
        **more,
    )
    same(local, there)
    assert sorted(Path(entry.path).name for entry in there[1]) == ["text.jpg", "torn.png"]
    # 51 files, of which one is a copy and so known from the start.
    assert heard.steps == [(done, 51) for done in range(1, 52)]
    assert list((tmp_path / "shards").rglob("*.*")) == []  # they have served


def test_integers_come_through_shards_as_they_are(ray, photos, tiny_int8, tmp_path, monkeypatch):
    local = embed(photos, tiny_int8.embedder, engines.LOCAL, tmp_path / "local", monkeypatch, normalization=None)
    there = embed(photos, tiny_int8.embedder, ray, tmp_path / "ray", monkeypatch, normalization=None)
    same(local, there)
    assert local[0].dtype == np.int8 and local[0].shape == (49, 44)


def test_hashes_are_those_of_one_machine(ray, photos, tmp_path):
    empty, gone = tmp_path / "empty.jpg", tmp_path / "gone.jpg"
    empty.touch()
    entries = [ListedPhoto(path, "a") for path in [empty, *(s.path for s in photos.samples), gone]]
    found = list(ray.hash(entries))
    assert found[1:-1] == [(hashlib.sha256(s.path.read_bytes()).hexdigest(), "") for s in photos.samples]
    assert found[0] == ("", "empty file") and found[-1] == ("", "No such file or directory")


def test_train_makes_the_same_model(nodes, trained, drawn_flowers, cache, tmp_path, monkeypatch):
    shutil.copytree(cache / "backbones", tmp_path / "cache/backbones")
    monkeypatch.setenv("MODEL_MAKER_CACHE", str(tmp_path / "cache"))
    url = f"file://{drawn_flowers}"
    made = model_maker.train(url, tmp_path / "model", engine="ray", address=nodes.address).directory
    for name in ("model.tflite", "float.tflite", "labels.txt", "metrics.json"):
        assert (made / name).read_bytes() == (trained["uint8"] / name).read_bytes(), name


def test_a_killed_worker_changes_nothing(ray, photos, conv_embedder, tmp_path, monkeypatch, capfd):
    local = embed(photos, conv_embedder, engines.LOCAL, tmp_path / "local", monkeypatch)
    log = tmp_path / "log"
    slow = watched(photos, log, 0.1)

    def kill():
        readers = until(lambda: {pid for pid, _ in readings(log)[BATCH:]})
        os.kill(readers.pop(), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    vectors, skipped, store = embed(slow, conv_embedder, ray, tmp_path / "ray", monkeypatch)
    killer.join()
    np.testing.assert_array_equal(vectors, local[0])
    assert store == local[2]
    assert [(str(s.path), s.reason) for s in skipped] == [(str(s.path), s.reason) for s in local[1]]
    _only_lost_batches_were_read_again(log, lost=1)
    assert capfd.readouterr() == ("", "")  # Ray's reports of it would spoil --json


def test_a_lost_node_changes_nothing(nodes, ray, photos, conv_embedder, tmp_path, monkeypatch):
    local = embed(photos, conv_embedder, engines.LOCAL, tmp_path / "local", monkeypatch)
    log = tmp_path / "log"
    slow = watched(photos, log, 0.4)
    second = next(iter(nodes.worker_nodes))

    def remove():
        # A machine takes its workers with it.
        [raylet] = second.all_processes["raylet"]
        worker = until(lambda: next((pid for pid, _ in readings(log) if _parent(pid) == raylet.process.pid), None))
        os.kill(worker, signal.SIGKILL)
        nodes.remove_node(second, allow_graceful=False)

    remover = threading.Thread(target=remove)
    remover.start()
    try:
        vectors, _, store = embed(slow, conv_embedder, ray, tmp_path / "ray", monkeypatch)
    finally:
        remover.join()
        nodes.add_node(**NODE)
    np.testing.assert_array_equal(vectors, local[0])
    assert store == local[2]
    _only_lost_batches_were_read_again(log, lost=2)


def _parent(process):
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _only_lost_batches_were_read_again(log, *, lost):
    counts = Counter(photo for _, photo in readings(log))
    again = sum(counts.values()) - len(counts)
    assert 0 < again <= lost * BATCH


KILLED = """
import sys
from test_ray_engine import *
from model_maker.tflite.interpreter import read
address, shards, embedder, log, *paths = sys.argv[1:]
for name in ("MOST_EMBEDDED", "MOST_HASHED", "LEAST"):
    setattr(ray_engine, name, BATCH)
from model_maker.data.dataset import Dataset, Sample
samples = tuple(Sample(Watched(p, log, 0.1), 0, hashlib.sha256(Path(p).read_bytes()).hexdigest()) for p in paths)
engine = engines.ENGINES["ray"](address, shards, print)
embedding_arrays.embed(Dataset(samples, ("a",)), read(embedder), PIXELS, engine=engine)
"""


def test_a_killed_run_goes_on_from_finished_shards(nodes, ray, photos, conv_embedder, tmp_path, monkeypatch):
    photos = dataclasses.replace(photos, samples=tuple(s for s in photos.samples if "copy" not in str(s.path)))
    embedder, log, shards = tmp_path / "embedder.tflite", tmp_path / "log", tmp_path / "shards"
    embedder.write_bytes(conv_embedder)
    paths = [str(s.path) for s in photos.samples]
    local = embed(photos, conv_embedder, engines.LOCAL, tmp_path / "local", monkeypatch)
    monkeypatch.setenv("MODEL_MAKER_CACHE", str(tmp_path / "killed"))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(HELPERS), *sys.path])}
    run = subprocess.Popen(
        [sys.executable, "-c", KILLED, nodes.address, str(shards), str(embedder), str(log), *paths], env=environment
    )
    until(lambda: len(list(shards.rglob("*.npz"))) >= 2)
    run.kill()
    run.wait()
    until(lambda: _quiet(log))
    # Shards that were read have served only when the run ends, so the files say all that was finished.
    finished = {photo for shard in shards.rglob("*.npz") for photo in _photos(shard, photos)}
    log.unlink()
    vectors, _, _ = embed(watched(photos, log, 0), conv_embedder, ray, tmp_path / "killed", monkeypatch)
    np.testing.assert_array_equal(vectors, local[0])
    read = {photo for _, photo in readings(log)}
    assert len(finished) >= BATCH and read.isdisjoint(finished)
    assert len(read | finished) == len(photos)


def _photos(shard, photos):
    """The paths of the readable photos in a shard, found by what the format says of its keys."""
    with np.load(shard, allow_pickle=False) as content:
        keys = {key.decode() for key, count in zip(content["keys"], content["counts"], strict=True) if count}
    return [str(s.path) for s in photos.samples if hashlib.sha256(s.digest.encode()).hexdigest() in keys]


def _quiet(log):
    """Whether nothing was read for a while: the workers of a driver that was killed have ended."""
    before = log.stat().st_size
    time.sleep(0.5)
    return log.stat().st_size == before


def test_photos_that_only_this_machine_reads_are_an_error(ray, photos, conv_embedder, tmp_path, monkeypatch):
    samples = [dataclasses.replace(s, path=OnlyHere(str(s.path), os.getpid())) for s in photos.samples]
    alone = dataclasses.replace(photos, samples=tuple(samples))
    with pytest.raises(ClusterError, match=r"cannot read .*000.png \(.*\), and this machine can. All machines must"):
        embed(alone, conv_embedder, ray, tmp_path / "ray", monkeypatch)
    with pytest.raises(ClusterError, match="and this machine can"):
        list(ray.hash([ListedPhoto(s.path, "a") for s in samples]))


def test_another_file_under_the_same_name_is_an_error(ray, photos, conv_embedder, tmp_path, monkeypatch):
    other = photos.samples[0].path
    samples = [dataclasses.replace(s, path=Twofold(str(s.path), str(other), os.getpid())) for s in photos.samples]
    twofold = dataclasses.replace(photos, samples=tuple(samples))
    with pytest.raises(ClusterError, match="is another file for a node of the cluster than"):
        embed(twofold, conv_embedder, ray, tmp_path / "ray", monkeypatch)


def test_nodes_with_other_versions_are_refused(ray, photos, conv_embedder, tmp_path, monkeypatch):
    here = clusters.this_machine()
    other = dataclasses.replace(here, versions=here.versions | {"pillow": "1.0"})
    monkeypatch.setattr(clusters, "this_machine", lambda: other)
    installed = here.versions["pillow"]
    with pytest.raises(ClusterError, match=f"The node .* has pillow {installed} instead of 1.0, and would make other"):
        embed(photos, conv_embedder, ray, tmp_path / "ray", monkeypatch)


def test_a_folder_of_shards_that_nodes_do_not_reach_is_refused(nodes, photos, conv_embedder, tmp_path, monkeypatch):
    engine = engines.ENGINES["ray"](nodes.address, "memory://shards", pytest.fail)
    with pytest.raises(ClusterError, match=r"does not reach the shards in memory://shards \(.*\). Pass `shards`"):
        embed(photos, conv_embedder, engine, tmp_path / "ray", monkeypatch)


def test_what_is_known_needs_no_cluster(photos, conv_embedder, tmp_path, monkeypatch):
    local, skipped, _ = embed(photos, conv_embedder, engines.LOCAL, tmp_path / "cache", monkeypatch)
    nowhere = engines.ENGINES["ray"]("127.0.0.1:1", None, pytest.fail)
    found, _, _ = embed(photos.without(skipped), conv_embedder, nowhere, tmp_path / "cache", monkeypatch)
    np.testing.assert_array_equal(found, local)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "nothing answers there .*refused.*ray start --head"),
        ("here:x", "nothing answers there"),
        ("ray://127.0.0.1:10001", "Ray's client cannot do this"),
        ("nonsense", "Invalid address format: nonsense"),
    ],
)
def test_an_address_without_a_cluster_is_told_at_once(address, message):
    with pytest.raises(ClusterError, match=f"^`address='{address}'`: .*{message}"), clusters.connected(address):
        pass


def test_without_ray_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(extras, "is_here", lambda module: False)
    with pytest.raises(ClusterError, match=r"pip install 'model-maker\[ray\]'"):
        engines.ENGINES["ray"](None, None, pytest.fail)


@pytest.mark.parametrize("option", ["address", "shards"])
def test_options_of_a_cluster_are_refused_without_one(option):
    with pytest.raises(DataError, match=f"`{option}='x'` applies to a Ray cluster: add `engine='ray'`"):
        check(Options(**{option: "x"}))
    with pytest.raises(DataError, match="`engine='spark'`: choose one of local, ray"):
        check(Options(engine="spark"))


def test_ctrl_c_ends_the_ray_that_was_started_and_nothing_else(nodes, tmp_path, drawn_flowers, cache):
    shutil.copytree(cache / "backbones", tmp_path / "cache/backbones")
    command = [sys.executable, "-m", "model_maker", "train", "--data", str(drawn_flowers), "--engine", "ray"]
    environment = os.environ | {"MODEL_MAKER_CACHE": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.Popen(
        [*command, "--output", str(tmp_path / "model")],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    # Whatever it starts inherits this.
    mark = str(tmp_path / "cache").encode()
    until(lambda: any(b"ray::MapWorker" in words for words in _processes(mark)))
    os.killpg(run.pid, signal.SIGINT)
    out, err = run.communicate(timeout=30)
    assert run.returncode == 130
    assert out == "" and "interrupted. No partial output was written" in err
    assert "Traceback" not in err
    until(lambda: not _processes(mark), seconds=20)
    assert not (tmp_path / "model").exists()
    with clusters.connected(nodes.address) as other:
        assert other.cpus == 2


def _processes(mark):
    """The command lines of all processes that have `mark` in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if mark in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes())
    return found
