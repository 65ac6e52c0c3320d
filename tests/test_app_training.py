"""One job at a time, stopped and told about."""

import threading

import pytest

from distill_jax.app import progress, training

WAIT_SECONDS = 30


def ended(trainer):
    trainer._thread.join(WAIT_SECONDS)
    return trainer.state


class Job:
    """Ten steps; each waits until it is let go on."""

    def __init__(self, error=None):
        self.go, self.saved, self.error = threading.Semaphore(0), False, error

    def __call__(self):
        try:
            for step in range(1, 11):
                assert self.go.acquire(timeout=WAIT_SECONDS)
                if self.error and step == 3:
                    raise self.error
                yield training.Event("walking", 1, 2, step, 10, {"loss": 0.5})
        finally:
            self.saved = True


def test_a_job_runs_to_its_end_and_the_next_may_start():
    trainer, job = training.Trainer(), Job()
    assert trainer.state is None and "Nothing" in progress.shown(None)
    trainer.start("one", job)
    with pytest.raises(training.BusyError, match="“one” is running"):
        trainer.start("two", Job())
    job.go.release(10)
    state = ended(trainer)
    assert (state.outcome, state.event.step, job.saved) == ("done", 10, True)
    assert "<b>one</b>" in progress.shown(state) and "done" in progress.shown(state)
    job = Job()
    job.go.release(10)
    trainer.start("two", job)
    assert ended(trainer).name == "two"


def test_a_job_that_is_stopped_is_closed_after_its_step():
    trainer, job = training.Trainer(), Job()
    trainer.start("one", job)
    trainer.stop()
    assert trainer.state.outcome == "stopping" and trainer.state.running
    job.go.release(10)
    trainer.close()
    state = trainer.state
    assert (state.outcome, state.event.step, job.saved) == ("stopped", 1, True)
    assert "saved" in progress.shown(state)
    trainer.stop()
    assert trainer.state.outcome == "stopped"


def test_what_the_user_can_mend_is_told():
    trainer, job = training.Trainer(), Job(ValueError("too <short>"))
    job.go.release(10)
    trainer.start("one", job)
    state = ended(trainer)
    assert (state.outcome, state.message, job.saved) == ("failed", "too <short>", True)
    assert "too &lt;short&gt;" in progress.shown(state)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_bug_is_told_as_one_and_the_next_job_may_start():
    trainer, job = training.Trainer(), Job(KeyError("bug"))
    job.go.release(10)
    trainer.start("one", job)
    state = ended(trainer)
    assert state.outcome == "failed" and state.message == training.UNEXPECTED
    trainer.start("two", Job)
    trainer.close()


def test_progress_is_told_in_words_and_as_a_bar():
    event = training.Event("walking", 2, 4, 5, 10, {"loss": 0.25, "rate": 1.0})
    text = progress.shown(training.State("me & you", event))
    assert "me &amp; you" in text and "width:37.5%" in text
    assert "part 2 of 4: walking, step 5 of 10 – loss 0.25<" in text
    text = progress.shown(training.State("me", training.Event("writing", 3, 4)))
    assert "writing, working" in text
