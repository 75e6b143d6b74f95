"""Jobs: one at a time, followed from elsewhere, ended at their next step."""

import threading

import pytest

from model_maker.errors import DataError
from model_maker.studio import jobs
from model_maker.studio.jobs import Jobs


def test_a_job_tells_how_it_stands(tmp_path):
    found, seen, go, told = Jobs(), [], threading.Event(), threading.Event()

    def work(progress):
        with progress.stage("Embed"):
            progress.step(3, 10)
            progress.note("A note.")
            told.set()
            go.wait()
        return {"answer": 42}

    found.start("train", work)
    told.wait()
    seen.append(found.job)
    with pytest.raises(DataError, match="something running"):
        found.start("check", work)
    go.set()
    found.join()
    assert (seen[0].stage, seen[0].done, seen[0].total, seen[0].notes) == ("Embed", 3, 10, ("A note.",))
    assert (found.job.state, found.job.result) == (jobs.DONE, {"answer": 42})


def test_a_cancelled_job_cleans_up_and_ends():
    found, begun, cleaned = Jobs(), threading.Event(), []

    def work(progress):
        try:
            begun.set()
            while True:
                progress.step(1, 2)
        except Exception:
            pytest.fail("a cancellation is no error")
        finally:
            cleaned.append(True)

    found.start("train", work)
    begun.wait()
    found.cancel()
    found.join()
    assert cleaned == [True]
    assert found.job.state == jobs.CANCELLED
    found.start("train", lambda progress: {})
    found.join()
    assert found.job.state == jobs.DONE


@pytest.mark.parametrize(
    ("error", "message"),
    [(DataError("Too few."), "Too few."), (KeyError("x"), "That should not happen: KeyError: 'x'")],
)
def test_what_fails_says_why(error, message):
    found = Jobs()

    def work(progress):
        raise error

    found.start("train", work)
    found.join()
    assert (found.job.state, found.job.message) == (jobs.FAILED, message)


@pytest.mark.parametrize("error", [None, DataError("Too few."), jobs.Cancelled(), KeyError("x")])
def test_the_end_of_a_job_is_told(error):
    ends = []
    found = Jobs(lambda: ends.append(found.job.state))

    def work(progress):
        if error:
            raise error

    found.start("train", work)
    found.join()
    assert ends == [found.job.state]
    assert ends != [jobs.RUNNING]
