"""A release that fails: what is put back, what is named, and what is said of it."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
from model import Fault, ModelEngine, ModelRepository, image

from tagger.cascade import parse_version
from tagger.errors import (
    Abandoned,
    BrokenOff,
    Denied,
    EngineError,
    Interrupted,
    ReleaseFailed,
    TaggerError,
    Unreadable,
    Unsettled,
)
from tagger.reference import Tag
from tagger.result import Release
from tagger.settle import at_once, settle
from tagger.share import FloatsVia, Order
from tagger.steps import release

FLOATS = ("2.1", "2", "latest")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagger.undo.PAUSES", (0.0, 0.0))
    monkeypatch.setattr("tagger.steps._CONFIRM_PAUSES", (0.0, 0.0))
    monkeypatch.setattr(settle, "__kwdefaults__", {**(settle.__kwdefaults__ or {}), "sleep": lambda _: None})


def held(repository: ModelRepository) -> dict[str, str]:
    """Say which image each tag holds, by name."""
    known = {image(name).manifest.digest: name for name in ("2.1.105", "2.1.106", "new", "old")}
    return {str(tag): known[digest] for tag, digest in repository.held.items()}


def attempt(
    repository: ModelRepository, fault: Fault | None = None, *, name: str = "new", force: bool = False
) -> Release | TaggerError:
    """Release 2.1.106 with the image of a name, with manifest PUTs, and give what came of it."""
    engine = ModelEngine([repository], [image("new"), image("2.1.106")])
    if fault:
        engine.around = repository.around = fault
    order = Order("app", image(name), parse_version("2.1.106"), via=FloatsVia.REGISTRY, overwrite=force)
    try:
        return release(engine, [repository], order)
    except TaggerError as error:
        failure = error
    told = failure.release.repositories if failure.release else ()
    assert all(change.after in (repository.held.get(change.tag), None) for one in told for change in one.changes)
    return failure


def every_operation(make: type[TwoSpellings] | type[Behind], **options: object) -> range:
    """Count the operations of an attempt that goes well."""
    counted = Fault(-1)
    attempt(make().repository, counted, **options)  # type: ignore[arg-type] # name and force
    return range(len(counted.operations))


class TwoSpellings:
    """2.1.106 is published as v2.1.106 alone, with the floating tags on it."""

    def __init__(self) -> None:
        self.repository = ModelRepository.published(["2.1.105"])
        for tag in ("v2.1.106", *FLOATS):
            self.repository.hold(tag, "2.1.106")


class Behind:
    """2.1.106 is published, and its floating tags are still behind."""

    def __init__(self) -> None:
        self.repository = ModelRepository.published(["2.1.105"])
        self.repository.hold("2.1.106", "2.1.106")


@pytest.mark.parametrize("name", ["2.1.106", "new"])
@pytest.mark.parametrize("after", [False, True])
def test_a_version_that_stands_under_its_other_spelling_keeps_its_floating_tags(name: str, after: bool) -> None:
    for at in every_operation(TwoSpellings, name=name, force=True):
        repository = TwoSpellings().repository
        found = attempt(repository, Fault(at, lambda _: KeyboardInterrupt(), after=after), name=name, force=True)
        if isinstance(found, TaggerError):
            assert {tag: held(repository)[tag] for tag in FLOATS} == dict.fromkeys(FLOATS, "2.1.106")
            assert held(repository)["v2.1.106"] == "2.1.106"


@pytest.mark.parametrize("error", [Denied, EngineError, Unreadable, BrokenOff])
def test_a_re_run_that_fails_never_counts_as_refused_once_something_moved(error: type[TaggerError]) -> None:
    def inject(operation: str) -> TaggerError:
        return error(f"injected at {operation}: try again")

    for at in every_operation(Behind, name="2.1.106"):
        repository = Behind().repository
        before = dict(repository.held)
        found = attempt(repository, Fault(at, inject), name="2.1.106")
        if isinstance(found, Denied):
            assert repository.held == before
        if isinstance(found, ReleaseFailed):
            moved = repository.held != before
            assert ("where the published versions say" in str(found)) is moved
            assert "no tag moved" not in str(found)


def test_an_overwritten_image_that_is_gone_is_named_and_nothing_is_deleted() -> None:
    repository = ModelRepository.published({"2.1.105": "old", "2.1.106": "2.1.106"})
    engine = ModelEngine([repository], [image("new")])

    def fail(operation: str) -> Fault:
        if operation == "put latest":
            repository.manifests.pop(image("2.1.106").manifest.digest, None)
            raise Denied("injected: no right")
        return Fault(-1)(operation)  # type: ignore[return-value] # the context manager passes through

    repository.around = fail  # type: ignore[assignment] # see above
    order = Order("app", image("new"), parse_version("2.1.106"), via=FloatsVia.REGISTRY, overwrite=True)
    with pytest.raises(Unsettled) as caught:
        release(engine, [repository], order)
    assert "registry.local:5000/gallery/ui:2.1.106" in caught.value.tags
    assert Tag("2.1.106") in repository.held


def test_a_push_that_breaks_off_is_not_said_to_have_failed() -> None:
    repository = ModelRepository.published(["2.1.105"])
    counted = Fault(-1)
    attempt(ModelRepository.published(["2.1.105"]), counted)
    at = counted.operations.index("start to push 2.1.106")
    found = attempt(repository, Fault(at, lambda _: BrokenOff("the connection broke: run it again")))
    assert isinstance(found, ReleaseFailed)
    assert "2.1.106 was published, or will be yet, is not known" in str(found)
    assert held(repository)["latest"] == "2.1.105"


def test_a_progress_that_fails_breaks_nothing_off() -> None:
    def full(_: str) -> None:
        raise ValueError("I/O operation on closed file")

    repository = ModelRepository.published(["2.1.105"])
    engine = ModelEngine([repository], [image("new")])
    done = release(engine, [repository], Order("app", image("new"), parse_version("2.1.106")), full)
    assert done.outcome == "released"


def test_local_tags_go_back_each_by_itself() -> None:
    repository = ModelRepository.published(["2.1.105"])
    engine = ModelEngine([repository], [image("new")])

    def stubborn(operation: str) -> Fault:
        if operation in ("put latest", "untag 2.1"):
            raise EngineError(f"{operation}: injected")
        return Fault(-1)(operation)  # type: ignore[return-value] # the context manager passes through

    engine.around = repository.around = stubborn  # type: ignore[assignment] # see above
    order = Order("app", image("new"), parse_version("2.1.106"), via=FloatsVia.REGISTRY)
    with pytest.raises(TaggerError, match=r"the local tag registry\.local:5000/gallery/ui:2\.1 is not put back"):
        release(engine, [repository], order)
    assert {reference.tag for reference in engine.local} == {"2.1.106", "2.1"}


def test_an_error_of_our_own_puts_back_too_and_asks_for_a_report() -> None:
    repository = ModelRepository.published(["2.1.105"])
    before = held(repository)
    fault = Fault(-1)
    attempt(ModelRepository.published(["2.1.105"]), fault)
    at = fault.operations.index("put 2")
    found = attempt(repository, Fault(at, lambda _: KeyError("a fault of ours")))
    assert isinstance(found, ReleaseFailed)
    assert "a fault of its own, KeyError: 'a fault of ours', which please report" in str(found)
    assert {tag: held(repository)[tag] for tag in before} == before


def test_a_signal_waits_for_what_runs_and_a_second_one_says_that_it_does_not() -> None:
    running, go = threading.Barrier(3), threading.Event()
    finished: list[int] = []

    def task(number: int) -> None:
        running.wait(10)
        go.wait(10)
        finished.append(number)

    def interrupt(times: int) -> None:
        running.wait(10)
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)
        go.set()

    for times, error, done in ((1, KeyboardInterrupt, 2), (2, Abandoned, 0)):
        go.clear()
        finished.clear()
        hand = threading.Thread(target=interrupt, args=(times,))
        hand.start()
        with pytest.raises(KeyboardInterrupt) as caught:
            at_once([lambda: task(1), lambda: task(2)])
        assert (type(caught.value), len(finished)) == (error, done)
        hand.join()


def test_an_interruption_says_so_with_the_exit_code_of_its_signal() -> None:
    repository = ModelRepository.published(["2.1.105"])
    found = attempt(repository, Fault(0, lambda _: KeyboardInterrupt()))
    assert isinstance(found, Interrupted)
    assert found.exit_code == 130
