import threading
import time

import numpy as np
import pytest
from PIL import Image

from model_maker.data.streaming import cores, stream
from model_maker.errors import DataError


def flat(level):
    return np.full((6, 6, 3), level, np.uint8)


def mean_worker():
    return lambda pixels: (pixels.shape, pixels.dtype, float(pixels.mean()))


def test_results_come_in_order_whichever_thread_is_first():
    def slow_for_even():
        def work(pixels):
            level = int(pixels[0, 0, 0, 0])
            time.sleep(0.01 * (level % 2 == 0))
            return level

        return work

    assert list(stream((flat(level) for level in range(40)), 4, slow_for_even, threads=4)) == list(range(40))


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_a_worker_gets_a_batch_of_one(threads):
    results = list(stream([flat(7), flat(8)], 4, mean_worker, threads=threads))
    assert results == [((1, 4, 4, 3), np.uint8, 7.0), ((1, 4, 4, 3), np.uint8, 8.0)]


def test_a_worker_gets_all_views_that_are_loaded():
    def load(levels, size):
        return np.stack([np.full((size, size, 3), level, np.uint8) for level in levels])

    def make():
        return lambda pixels: (pixels.shape, pixels[:, 0, 0, 0].tolist())

    results = list(stream([[1, 2, 3], [4]], 5, make, load=load))
    assert results == [((3, 5, 5, 3), [1, 2, 3]), ((1, 5, 5, 3), [4])]


def test_no_photos_make_no_worker():
    assert list(stream([], 4, lambda: pytest.fail("a worker was made"))) == []


def test_each_thread_makes_one_worker_and_keeps_it():
    makers, users = [], {}

    def make():
        makers.append(threading.get_ident())
        worker = object()

        def work(pixels):
            time.sleep(0.002)
            users.setdefault(threading.get_ident(), set()).add(worker)

        return work

    list(stream([flat(0)] * 60, 4, make, threads=3))
    assert len(makers) == len(set(makers)) <= 3
    assert set(users) == set(makers) and all(len(workers) == 1 for workers in users.values())


def test_an_unreadable_photo_takes_its_place_as_an_error(tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    Image.fromarray(flat(9)).save(tmp_path / "good.png")
    photos = [tmp_path / "good.png", tmp_path / "bad.jpg", tmp_path / "missing.jpg", flat(3)]
    first, second, third, fourth = stream(photos, 4, mean_worker, threads=2)
    assert first[2] == 9.0 and fourth[2] == 3.0
    assert isinstance(second, DataError) and "bad.jpg: not a JPEG" in str(second)
    assert isinstance(third, DataError) and "missing.jpg: no such file" in str(third)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_few_photos_are_in_flight_however_many_there_are(threads):
    taken = []

    def photos():
        for number in range(500):
            taken.append(number)
            yield flat(0)

    results = stream(photos(), 4, mean_worker, threads=threads)
    for given, _ in enumerate(results, 1):
        # Memory stays flat: no more than a handful a thread are ahead of what was handed out.
        assert len(taken) - given <= 8 * threads
    assert len(taken) == 500


def test_stopping_early_leaves_no_thread_and_begins_no_more_photos():
    begun, before = [], threading.active_count()

    def make():
        def work(pixels):
            begun.append(1)
            time.sleep(0.005)

        return work

    results = stream((flat(0) for _ in range(1000)), 4, make, threads=2)
    next(results)
    results.close()
    after = len(begun)
    assert after <= 16 + 2 and threading.active_count() == before
    time.sleep(0.05)
    assert len(begun) == after


def test_a_failure_in_a_worker_is_raised():
    def fail(pixels):
        raise RuntimeError("broken runtime")

    with pytest.raises(RuntimeError, match="broken runtime"):
        list(stream([flat(0)], 4, lambda: fail))


def test_a_failure_in_the_photos_is_raised_and_leaves_no_thread():
    before = threading.active_count()

    def photos():
        yield flat(0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(stream(photos(), 4, mean_worker, threads=2))
    assert threading.active_count() == before


def test_threads_really_work_at_the_same_time():
    # Both must be inside their photo before either may leave.
    together = threading.Barrier(2, timeout=30)

    def make():
        return lambda pixels: together.wait()

    assert sorted(stream([flat(0), flat(1)], 4, make, threads=2)) == [0, 1]


def test_cores_are_those_this_process_may_use(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {3, 5, 7}, raising=False)
    assert cores() == 3
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert cores() == 1
