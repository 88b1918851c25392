"""Many repositories: which are read, which shard takes which, what is decided, and how much of a quota is left."""

from __future__ import annotations

import errno
import json
import os
import tempfile
import threading
from concurrent.futures import Future
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus import parsed

from tagger.errors import InputError, TimedOut
from tagger.fleet.entry import Entry, Ran, read
from tagger.fleet.journal import Journal
from tagger.fleet.metrics import last_complete, metrics
from tagger.fleet.names import Shard, names, parse_rates, wanted
from tagger.fleet.tally import Tally
from tagger.registry.quota import spacing
from tagger.registry.traffic import Traffic
from tagger.work import AtHand, Clock, Deadline

CHECK = Ran("check")


class Skipping(Clock):
    """A clock that is set forward instead of waiting."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


# -- names and shards ------------------------------------------------------------------------------------------------


def test_blank_lines_and_comments_name_no_repository() -> None:
    text = "# ours\n\nregistry.local:5000/a\r\n  registry.local:5000/b # the second\n   \n#registry.local:5000/c\n"
    assert [*names(text.split("\n"), "stdin")] == ["registry.local:5000/a", "registry.local:5000/b"]


@given(st.lists(st.from_regex("[a-z]{1,8}/[a-z]{1,8}", fullmatch=True)), st.integers(1, 30))
def test_every_repository_is_in_exactly_one_shard(paths: list[str], count: int) -> None:
    every = [spelt for index in range(count) for spelt, _ in wanted(paths, Shard(index, count))]
    assert sorted(every) == sorted(f"docker.io/{path}" for path in paths)


def test_a_repository_stays_in_its_shard_in_every_release_of_tagger() -> None:
    assert [name for name in "abcdefgh" if Shard(1, 3).has(f"registry.local:5000/{name}")] == ["b", "d", "e", "f"]


@pytest.mark.parametrize("text", ["", "3", "3/3", "20/20", "-1/3", "1/0", "a/b", "1/2/3"])
def test_an_invalid_shard_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="count from 0"):
        Shard.parse(text)


def test_rates_are_per_second_minute_or_hour() -> None:
    given = ["a.example=20/s", "b.example:5000=90/m", "docker.io=100/h"]
    assert parse_rates(given) == {"a.example": 20.0, "b.example:5000": 1.5, "docker.io": 100 / 3600}


@pytest.mark.parametrize("text", ["a.example", "a.example=20", "a.example=0/s", "=20/s", "a.example=20/d"])
def test_an_invalid_rate_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_rates([text])


def test_a_byte_order_mark_before_the_names_changes_nothing() -> None:
    assert [*names(["\ufeffr.example/a", "r.example/b"], "stdin")] == ["r.example/a", "r.example/b"]


def test_an_empty_list_of_names_is_not_a_success() -> None:
    with pytest.raises(InputError, match="stdin names no repository"):
        [*names(["# none", ""], "stdin")]


# -- lines and state -------------------------------------------------------------------------------------------------


def entry(name: str, code: int = 0, **content: object) -> Entry:
    """The result of a check."""
    return Entry(name, CHECK, code, content)


@pytest.mark.parametrize(
    ("made", "outcome"),
    [
        (entry("a"), "ok"),
        (entry("a", 5), "drift"),
        (entry("a", 3), "refused"),
        (entry("a", 4), "unsettled"),
        (entry("a", 1), "failed"),
        (entry("a", 2), "failed"),
        (Entry("a", Ran("repair", dry_run=True), 0, {}, changes=True), "planned"),
        (Entry("a", Ran("repair", dry_run=False), 0, {}, changes=True), "changed"),
        (Entry("a", Ran("repair", dry_run=False), 0, {}), "ok"),
    ],
)
def test_a_line_of_the_state_reads_back(made: Entry, outcome: str) -> None:
    found = read(made.line.encode())
    assert found
    assert (found.repository, found.ran, found.outcome) == ("a", made.ran, outcome)


@given(st.text(max_size=40), st.integers(0, 200))
def test_no_part_of_a_line_counts_as_a_line(text: str, at: int) -> None:
    line = entry("registry.local:5000/a", 1, error=text).line.encode()
    assert line.count(b"\n") == 1
    assert read(line[: min(at, len(line) - 1)]) is None


def shown(entry: Entry, told: list[str]) -> None:
    """Note that a result was shown."""
    told.append(entry.repository)


def run(state: Path, every: list[str], ran: Ran = CHECK) -> list[str]:
    """Decide what a state leaves to decide, and name it."""
    journal, told = Journal(ran, str(state)), list[str]()
    for name in filter(journal.is_new, every):
        made = Entry(name, ran, 0, {})
        journal.add(made, lambda made=made: shown(made, told))  # type: ignore[misc]  # mypy has no type for defaults
    journal.close()
    assert journal.tally.outcomes.total() == len(every)
    return told


@given(st.integers(0, 2000))
def test_every_repository_is_decided_exactly_once_after_any_kill(at: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        state, every = Path(folder, "out.ndjson"), [f"registry.local:5000/team/app{number}" for number in range(12)]
        assert run(state, every) == every
        whole = state.read_bytes()
        state.write_bytes(whole[:at])
        left = every[whole[:at].count(b"\n") :]
        assert run(state, every) == left
        assert sorted(json.loads(line)["repository"] for line in state.read_text().splitlines()) == sorted(every)
        assert run(state, every) == []


def test_a_repository_that_is_named_twice_is_decided_once(tmp_path: Path) -> None:
    journal = Journal(CHECK, str(tmp_path / "out"))
    assert [name for name in ("a", "b", "a") if journal.is_new(name)] == ["a", "b"]
    journal.close()


def test_a_state_of_another_command_is_not_taken_for_this_one(tmp_path: Path) -> None:
    state = tmp_path / "out"
    run(state, ["a"], Ran("repair", dry_run=True))
    before = state.read_bytes()
    for other in (CHECK, Ran("repair", dry_run=False), Ran("prune", dry_run=True)):
        with pytest.raises(InputError, match=r"line 1 .* result of tagger repair --dry-run"):
            run(state, ["a", "b"], other)
    assert state.read_bytes() == before


@pytest.mark.parametrize("text", ["remember the milk", "the milk\nand the bread\n", '{"name": "milk"}\n', "1\n"])
def test_a_file_that_is_not_a_state_is_not_overwritten(tmp_path: Path, text: str) -> None:
    state = tmp_path / "notes.txt"
    state.write_text(text)
    with pytest.raises(InputError, match=r"line 1 of .* is not a result of tagger"):
        run(state, ["a"])
    assert state.read_text() == text


def test_two_runs_cannot_write_one_state(tmp_path: Path) -> None:
    first = Journal(CHECK, str(tmp_path / "out"))
    with pytest.raises(InputError, match="another tagger is writing"):
        Journal(CHECK, str(tmp_path / "out"))
    first.close()
    Journal(CHECK, str(tmp_path / "out")).close()


def test_nothing_is_written_after_an_incomplete_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "out"
    journal = Journal(CHECK, str(state))
    written = os.write

    def full(file: int, line: bytes) -> int:
        if len(line) < 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(file, line[:-10])

    with monkeypatch.context() as patch:
        patch.setattr("os.write", full)
        with pytest.raises(InputError, match="cannot be written"):
            journal.add(entry("a"), lambda: None)
    with pytest.raises(InputError, match="No space left"):
        journal.add(entry("b"), lambda: None)
    journal.close()
    assert run(state, ["a", "b"]) == ["a", "b"]


# -- rates and quotas ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"ratelimit-remaining": "nonsense"}, None),
        ({"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "76;w=21600"}, 0.0),
        ({"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "4;w=21600"}, 5400.0),
        ({"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "0;w=21600"}, 21600.0),
        ({"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "500", "x-ratelimit-reset": "1060"}, 2.12),
        ({"x-ratelimit-remaining": "10", "x-ratelimit-reset": "1700000060"}, 6.0),
        ({"ratelimit": "limit=100, remaining=5, reset=10"}, 2.0),
        ({"ratelimit": '"hour";r=50;t=3600'}, 0.0),
        ({"ratelimit": '"hour";r=3;t=60'}, 20.0),
        ({"ratelimit-remaining": "0"}, 1.0),
    ],
)
def test_the_rest_of_a_quota_is_spread_over_its_time(headers: dict[str, str], seconds: float | None) -> None:
    assert spacing(headers, 1_700_000_000) == seconds


def traffic(clock: Clock, rate: float | None = None, sharers: int = 1) -> tuple[Traffic, Deadline]:
    """The traffic of a registry by a clock."""
    deadline = Deadline(clock=clock)
    return Traffic("registry.local:5000", deadline, rate=rate, sharers=sharers), deadline


def test_requests_follow_each_other_no_faster_than_the_rate() -> None:
    clock = Skipping()
    sent, deadline = traffic(clock, rate=4)
    times = []
    for _ in range(9):
        sent.wait(deadline)
        times.append(clock.now)
    assert times == pytest.approx([number / 4 for number in range(9)])


def test_no_request_is_sent_before_the_registry_allows_it() -> None:
    clock = Skipping()
    sent, deadline = traffic(clock)
    sent.heard("registry.local:5000", 429, {"retry-after": "90"})
    sent.wait(deadline)
    assert clock.now == pytest.approx(90)
    sent.heard("registry.local:5000", 429, {})
    sent.wait(deadline)
    assert clock.now == pytest.approx(91), "a second where the registry does not say"


def test_a_quota_that_runs_out_is_shared_with_the_other_shards() -> None:
    clock = Skipping()
    sent, deadline = traffic(clock, sharers=4)
    sent.heard("a", 200, {"ratelimit": '"hour";r=10;t=100'})
    for _ in range(3):
        sent.wait(deadline)
    assert clock.now == pytest.approx(3 * 40)
    sent.heard("a", 200, {"ratelimit": '"hour";r=1000;t=100'})
    sent.wait(deadline)
    sent.wait(deadline)
    assert clock.now == pytest.approx(4 * 40), "enough is there again"


# -- a stream of work ------------------------------------------------------------------------------------------------


def test_a_stream_is_read_no_further_than_there_is_room() -> None:
    read_so_far, gate, most = [], threading.Event(), []

    def work() -> None:
        gate.wait(10)

    def tasks() -> object:
        for number in range(20):
            read_so_far.append(number)
            if number == 4:
                most.append(len(read_so_far))
                gate.set()
            yield work

    Deadline().stream(tasks(), 4)  # type: ignore[arg-type]  # a generator
    assert (most, len(read_so_far)) == ([5], 20)


def test_nothing_starts_after_a_failure_and_it_is_raised_when_the_rest_has_ended() -> None:
    done: list[int] = []

    def fail() -> None:
        raise InputError("broken")

    tasks = [fail, *(lambda number=number: done.append(number) for number in range(5))]
    with pytest.raises(InputError, match="broken"):
        Deadline(pool=lambda _: AtHand()).stream(tasks, 1)
    assert done == []


def test_a_stream_ends_with_its_time() -> None:
    clock, done = Skipping(), list[float]()
    deadline = Deadline(10, clock=clock)

    def work() -> None:
        clock.now += 3
        done.append(clock.now)

    with pytest.raises(TimedOut):
        deadline.stream((work for _ in range(9)), 1)
    assert len(done) < 5


def test_one_task_that_puts_tags_back_does_not_change_the_time_of_the_others() -> None:
    clock = Skipping()
    deadline = Deadline(100, clock=clock)
    one, other = deadline.part(), deadline.part()
    clock.now = 80
    one.put_back()
    assert one.left()
    with pytest.raises(TimedOut):
        other.check()


def test_work_in_the_calling_thread_passes_its_error_on() -> None:
    found: Future[int] = AtHand().submit(int, "x")
    with pytest.raises(ValueError, match="invalid literal"):
        found.result()


def test_a_wait_that_is_longer_than_the_time_left_ends_the_run() -> None:
    deadline = Deadline(100, clock=Skipping())
    one = deadline.part()
    with pytest.raises(TimedOut):
        one.sleep(1000)
    assert deadline.is_over()
    one.put_back()
    assert one.left()


# -- metrics ---------------------------------------------------------------------------------------------------------


def test_prometheus_can_read_the_metrics() -> None:
    tally = Tally()
    tally.add("ok", 0, {})
    tally.add("drift", 5, {"drift": [{"tag": "latest"}, {"tag": "2"}]})
    sent = {('reg"\\istry:5000', "200"): 14, ("registry", "none"): 1}
    text = metrics({"command": "check"}, tally, sent, 1700000000.5)
    assert parsed(text) == {
        ("tagger_repositories", (("command", "check"), ("outcome", "drift"))): 1.0,
        ("tagger_repositories", (("command", "check"), ("outcome", "ok"))): 1.0,
        ("tagger_drifted_tags", (("command", "check"),)): 2.0,
        ("tagger_requests", (("command", "check"), ("host", 'reg"\\istry:5000'), ("status", "200"))): 14.0,
        ("tagger_requests", (("command", "check"), ("host", "registry"), ("status", "none"))): 1.0,
        ("tagger_last_complete_run_timestamp_seconds", (("command", "check"),)): 1700000000.5,
    }
    assert last_complete(text, {"command": "check"}) == 1700000000.5
    assert last_complete(text, {"command": "repair"}) is None
    shard = {"command": "check", "shard": "3/20"}
    text = metrics(shard, tally, {}, 5.0)
    assert parsed(text)["tagger_drifted_tags", (("command", "check"), ("shard", "3/20"))] == 2.0
    assert (last_complete(text, shard), last_complete(text, {"command": "check"})) == (5.0, None)
