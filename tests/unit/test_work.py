"""How long a command may take; waits and reads end as soon as the command is cancelled."""

import os
import signal
import threading
from functools import partial

import pytest
from clocks import Skipping

from tagger.errors import CalledOff, TaggerError, TimedOut
from tagger.work import Deadline, Pauses


def test_without_a_limit_the_time_never_ends() -> None:
    deadline = Deadline()
    assert deadline.left() is None
    deadline.check()
    deadline.sleep(0)


def test_a_pause_longer_than_the_time_left_does_not_begin() -> None:
    with pytest.raises(TimedOut, match=r"did not finish within the 60 s of --timeout: .*allow more time"):
        Deadline(60).sleep(3600)


def test_a_long_wait_is_reported_with_its_reason_and_a_short_one_is_not() -> None:
    told: list[str] = []
    deadline = Deadline(None, told.append, clock=Skipping())
    deadline.sleep(0.5, "the registry is busy")
    deadline.sleep(2, "the registry is down")
    assert told == ["waiting 2 s: the registry is down"]


def test_attempts_have_pauses_between_them_and_none_after_the_last() -> None:
    clock = Skipping()
    pauses = [attempt.pause for attempt in Deadline(clock=clock).attempts(Pauses.BLOB, Pauses.REQUEST)]
    assert pauses == [*Pauses.BLOB.value, *Pauses.REQUEST.value, None]
    assert clock.slept == pytest.approx(sum(filter(None, pauses)), rel=0.2)


def test_no_pause_follows_a_successful_attempt() -> None:
    clock = Skipping()
    for _ in Deadline(clock=clock).attempts(Pauses.BLOB):
        break
    assert clock.slept == 0


def test_an_attempt_may_ask_for_a_longer_pause_than_the_table_has() -> None:
    clock, told = Skipping(), list[str]()
    for attempt in Deadline(None, told.append, clock=clock).attempts(Pauses.REQUEST):
        if attempt.pause is None:
            break
        attempt.pause, attempt.since = 30.0, "the registry asks for it"
    assert told == ["waiting 30 s: the registry asks for it"] * 3


def test_attempts_end_with_the_time_of_the_command() -> None:
    attempts = Deadline(20, clock=Skipping()).attempts(Pauses.SCANNED)
    next(attempts)
    with pytest.raises(TimedOut):
        next(attempts)


def test_part_of_the_time_is_reserved_for_putting_tags_back() -> None:
    deadline = Deadline(60)
    assert 44 < (deadline.left() or 0) <= 45
    with pytest.raises(TimedOut):
        deadline.sleep(50)
    deadline.put_back()
    assert 59 < (deadline.left() or 0) <= 60


def test_at_most_a_minute_is_reserved() -> None:
    assert 3539 < (Deadline(3600).left() or 0) <= 3540


def test_nothing_continues_when_the_time_is_over() -> None:
    deadline = Deadline(60, clock=(clock := Skipping()))
    clock.sleep(50)
    for question in (deadline.left, deadline.check, lambda: deadline.sleep(0)):
        with pytest.raises(TimedOut):
            question()


def test_an_interruption_ends_the_waits_of_concurrent_tasks() -> None:
    deadline, begun, ended = Deadline(), threading.Barrier(3), []

    def wait() -> None:
        begun.wait(10)
        try:
            deadline.sleep(3600)
        except CalledOff as error:
            ended.append(error)
            raise

    def interrupt() -> None:
        begun.wait(10)
        os.kill(os.getpid(), signal.SIGINT)

    hand = threading.Thread(target=interrupt)
    hand.start()
    with pytest.raises(KeyboardInterrupt):
        deadline.at_once([wait, wait])
    hand.join()
    assert len(ended) == 2
    deadline.check()  # what comes after, such as putting things back, is not cancelled


def test_tasks_run_concurrently_and_their_results_keep_their_order() -> None:
    meeting = threading.Barrier(4)

    def meet(number: int) -> int:
        meeting.wait(10)
        return number

    assert Deadline().at_once([partial(meet, number) for number in range(4)]) == [0, 1, 2, 3]


def test_the_first_problem_is_raised_after_every_task_has_run() -> None:
    done: list[int] = []

    def fail(number: int) -> None:
        done.append(number)
        raise TaggerError(str(number))

    with pytest.raises(TaggerError, match="1"):
        Deadline().at_once([lambda: done.append(0), lambda: fail(1), lambda: fail(2), lambda: done.append(3)])
    assert sorted(done) == [0, 1, 2, 3]


def test_no_task_gives_no_result() -> None:
    assert Deadline().at_once([]) == []
