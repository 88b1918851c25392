"""A failed release: what is put back, what is named, and what the message says."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import pytest
from model import Fault, ModelEngine, ModelRepository, image, placed, release, undisturbed
from shelf import Shelf

from tagger.errors import (
    Abandoned,
    BadAnswer,
    CalledOff,
    Conflict,
    ConnectionLost,
    Denied,
    EngineError,
    Immutable,
    Interrupted,
    Refused,
    ReleaseFailed,
    TaggerError,
    Transient,
    Unreadable,
    Unsettled,
)
from tagger.names import Repository, Tag
from tagger.releasing.order import FloatsVia, Opened, Order
from tagger.releasing.outcome import Release
from tagger.releasing.placement import Placement
from tagger.repository.repair import repair
from tagger.rules.lines import lines
from tagger.rules.scheme import Scheme
from tagger.rules.version import parse_version
from tagger.work import Deadline

FLOATS = ("2.1", "2", "latest")


def held(repository: ModelRepository) -> dict[str, str]:
    """The name of the image that each tag holds."""
    known = {
        image(name).manifest.digest: name for name in ("2.0.6", "2.1.0", "2.1.105", "2.1.106", "2.1.107", "new", "old")
    }
    return {str(tag): known[digest] for tag, digest in repository.held.items()}


def attempt(
    repository: ModelRepository, fault: Fault | None = None, *, name: str = "new", force: bool = False
) -> Release | TaggerError:
    """Release 2.1.106 with the image of a name, with manifest PUTs, and return what happened."""
    engine = ModelEngine([repository], [image("new"), image("2.1.106")])
    if fault:
        engine.around = repository.around = fault
    order = Order(parse_version("2.1.106"), via=FloatsVia.REGISTRY, overwrite=force)
    try:
        return release(engine, placed(name, [repository]), order)
    except TaggerError as error:
        failure = error
    told = failure.release.repositories if failure.release else ()
    assert all(change.after in (repository.held.get(change.tag), None) for one in told for change in one.changes)
    return failure


def every_operation(make: type[TwoSpellings] | type[Behind], **options: object) -> range:
    """Count the operations of a successful attempt."""
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
def test_a_version_that_exists_under_its_other_spelling_keeps_its_floating_tags(name: str, after: bool) -> None:
    for at in every_operation(TwoSpellings, name=name, force=True):
        repository = TwoSpellings().repository
        found = attempt(repository, Fault(at, lambda _: KeyboardInterrupt(), after=after), name=name, force=True)
        if isinstance(found, TaggerError):
            assert {tag: held(repository)[tag] for tag in FLOATS} == dict.fromkeys(FLOATS, "2.1.106")
            assert held(repository)["v2.1.106"] == "2.1.106"


@pytest.mark.parametrize("error", [Denied, EngineError, Unreadable, ConnectionLost])
def test_a_failed_second_run_is_not_reported_as_refused_after_something_moved(error: type[TaggerError]) -> None:
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
            assert ("match the published versions" in str(found)) is moved
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
    order = Order(parse_version("2.1.106"), via=FloatsVia.REGISTRY, overwrite=True)
    with pytest.raises(Unsettled) as caught:
        release(engine, placed("new", [repository]), order)
    assert "registry.local:5000/gallery/ui:2.1.106" in caught.value.tags
    assert Tag("2.1.106") in repository.held


@pytest.mark.parametrize("error", [ConnectionLost, Transient])
def test_a_temporarily_failed_push_of_the_version_tag_is_retried(error: type[TaggerError]) -> None:
    repository = ModelRepository.published(["2.1.105"])
    at = operations_of_a_release().index("start to push 2.1.106")
    found = attempt(repository, Fault(at, lambda _: error("the registry was busy: try again")))
    assert isinstance(found, Release)
    assert held(repository) == dict.fromkeys(("2.1.106", *FLOATS), "new") | {"2.1.105": "2.1.105"}


def test_a_push_whose_answer_is_lost_is_not_repeated() -> None:
    repository = ModelRepository.published(["2.1.105"])
    at = operations_of_a_release().index("push 2.1.106")
    fault = Fault(at, lambda _: ConnectionLost("the connection broke: run it again"), after=True)
    assert isinstance(attempt(repository, fault), Release)
    assert fault.operations.count("push 2.1.106") == 1


def operations_of_a_release() -> list[str]:
    counted = Fault(-1)
    attempt(ModelRepository.published(["2.1.105"]), counted)
    return counted.operations


def test_a_release_that_overwrote_a_rival_s_version_says_so_and_writes_no_image_that_it_did_not_see() -> None:
    repository = ModelRepository.published(["2.1.105"])
    rival = ModelEngine([repository], [image("2.1.106")])

    @contextlib.contextmanager
    def overtaken(operation: str) -> Iterator[None]:
        if operation == "start to push 2.1.106":
            order = Order(parse_version("2.1.106"), via=FloatsVia.REGISTRY)
            assert release(rival, placed("2.1.106", [repository]), order).outcome == "released"
        yield

    engine = ModelEngine([repository], [image("new")], around=overtaken)
    with pytest.raises(Conflict, match=r"somebody else had just released sha256:\w+ there") as caught:
        release(engine, placed("new", [repository]), Order(parse_version("2.1.106")))
    assert held(repository) == dict.fromkeys(("2.1.106", *FLOATS), "new") | {"2.1.105": "2.1.105"}
    assert caught.value.release
    assert caught.value.release.outcome == "failed"
    (told,) = caught.value.release.repositories
    assert {change.after for change in told.changes} == {image("new").manifest.digest}


def during_the_push(repository: ModelRepository, act: Callable[[], None], version: str = "2.1.106") -> ModelEngine:
    """An Engine with the image `new`, which does something while it pushes the version tag."""

    @contextlib.contextmanager
    def around(operation: str) -> Iterator[None]:
        if operation == f"push {version}":
            act()
        yield

    return ModelEngine([repository], [image("new")], around=around)


@pytest.mark.parametrize("tag", FLOATS)
@pytest.mark.parametrize("via", FloatsVia)
def test_a_foreign_push_of_a_floating_tag_is_named_and_not_taken_for_a_rival_version(tag: str, via: FloatsVia) -> None:
    repository = ModelRepository.published(["2.1.105"])
    engine = during_the_push(repository, lambda: repository.hold(tag, "a nightly build"))
    done = release(engine, placed("new", [repository]), Order(parse_version("2.1.106"), via))
    assert held(repository) == dict.fromkeys(("2.1.106", *FLOATS), "new") | {"2.1.105": "2.1.105"}
    nightly = image("a nightly build").manifest.digest
    assert done.warnings == (f"{repository.name}:{tag} held an image of no known version: {nightly}",)


@pytest.mark.parametrize("spelt", ["2.1.106", "v2.1.106"])
def test_the_image_that_force_overwrites_is_not_reported_as_unknown(spelt: str) -> None:
    repository = ModelRepository.published(["2.1.105"])
    for tag in (spelt, *FLOATS):
        repository.hold(tag, "2.1.106")
    done = attempt(repository, force=True)
    assert isinstance(done, Release)
    assert done.warnings == ()


def test_a_foreign_push_of_the_only_floating_tag_is_not_a_conflict() -> None:
    repository = ModelRepository.published(["2.0.6", "2.1.0"])
    engine = during_the_push(repository, lambda: repository.hold("2.0", "a nightly build"), version="2.0.7")
    done = release(engine, placed("new", [repository]), Order(parse_version("2.0.7")))
    assert done.outcome == "released"
    assert held(repository)["2.0.7"] == held(repository)["2.0"] == "new"


def hide(repository: ModelRepository, tag: str, *, lists: int) -> None:
    """Leave a tag out of the next lists, as a registry does whose list lags."""
    repository.hidden = {Tag(tag)}
    left = iter(range(lists))

    @contextlib.contextmanager
    def around(operation: str) -> Iterator[None]:
        if operation == "list" and next(left, None) is None:
            repository.hidden = set()
        yield

    repository.around = around


@pytest.mark.parametrize("via", FloatsVia)
def test_a_list_that_lags_behind_a_newer_version_moves_no_floating_tag_back(via: FloatsVia) -> None:
    repository = ModelRepository.published(["2.1.105", "2.1.107"])
    hide(repository, "2.1.107", lists=5)
    engine = ModelEngine([repository], [image("new")])
    done = release(engine, placed("new", [repository]), Order(parse_version("2.1.106"), via))
    assert held(repository) == {
        "2.1.105": "2.1.105",
        "2.1.106": "new",
        **dict.fromkeys(("2.1.107", *FLOATS), "2.1.107"),
    }
    assert repository.clock.slept > 0
    assert done.warnings == ()


def test_a_repair_waits_for_a_list_that_lags() -> None:
    repository = Shelf.published(["2.1.105", "2.1.107"])
    assert isinstance(repository, Shelf)
    hide(repository, "2.1.107", lists=3)
    repair(repository, [Scheme()], dry_run=False)
    assert repository.writes == []


def test_a_floating_tag_of_a_version_with_other_rules_is_refused_before_anything_is_written() -> None:
    repository = ModelRepository.published(
        ["2.1.105"], latest="a calendar version", **{"2026.03.0": "a calendar version"}
    )
    before = dict(repository.held)
    found = attempt(repository)
    assert isinstance(found, Refused)
    assert "latest holds the image of 2026.03.0, which is almost a version" in str(found)
    assert (repository.held, repository.writes) == (before, [])


def test_a_version_that_is_published_just_before_the_push_is_not_overwritten() -> None:
    repository = ModelRepository.published(["2.1.105"])

    looks: list[str] = []

    @contextlib.contextmanager
    def published_meanwhile(operation: str) -> Iterator[None]:
        looks.append(operation)
        if looks.count("head 2.1.106") == 2:
            repository.hold("2.1.106", "old")
        yield

    repository.around = published_meanwhile
    found = attempt(repository)
    assert isinstance(found, Refused)
    assert held(repository)["2.1.106"] == "old"


def test_an_unreadable_version_tag_is_overwritten_only_with_force() -> None:
    repository = ModelRepository.published(["2.1.105"])
    repository.hold("2.1.106", "old")
    repository.unreadable = {Tag("2.1.106")}
    found = attempt(repository)
    assert isinstance(found, Unreadable)
    assert "--force" in str(found)
    assert isinstance(attempt(repository, force=True), Release)
    assert held(repository) == dict.fromkeys(("2.1.106", *FLOATS), "new") | {"2.1.105": "2.1.105"}


def test_an_interrupted_push_is_not_reported_as_failed() -> None:
    repository = ModelRepository.published(["2.1.105"])
    at = operations_of_a_release().index("start to push 2.1.106")
    found = attempt(repository, Fault(at, lambda _: ConnectionLost("the connection broke: run it again"), lasting=True))
    assert isinstance(found, ReleaseFailed)
    assert "2.1.106 was interrupted and may still appear" in str(found)
    assert held(repository)["latest"] == "2.1.105"


def test_a_failing_progress_callback_does_not_stop_a_release() -> None:
    def full(_: str) -> None:
        raise ValueError("I/O operation on closed file")

    repository = ModelRepository.published(["2.1.105"])
    engine = ModelEngine([repository], [image("new")])
    done = release(engine, placed("new", [repository]), Order(parse_version("2.1.106")), full)
    assert done.outcome == "released"


def test_each_local_tag_is_put_back_separately() -> None:
    repository = ModelRepository.published(["2.1.105"])
    engine = ModelEngine([repository], [image("new")])

    def stubborn(operation: str) -> Fault:
        if operation in ("put latest", "untag 2.1"):
            raise EngineError(f"{operation}: injected")
        return Fault(-1)(operation)  # type: ignore[return-value] # the context manager passes through

    engine.around = repository.around = stubborn  # type: ignore[assignment] # see above
    order = Order(parse_version("2.1.106"), via=FloatsVia.REGISTRY)
    with pytest.raises(TaggerError, match=r"the local tag registry\.local:5000/gallery/ui:2\.1 could not be restored"):
        release(engine, placed("new", [repository]), order)
    assert {reference.tag for reference in engine.local} == {"2.1.106", "2.1"}


def test_an_internal_error_puts_the_tags_back_too_and_asks_for_a_report() -> None:
    repository = ModelRepository.published(["2.1.105"])
    before = held(repository)
    fault = Fault(-1)
    attempt(ModelRepository.published(["2.1.105"]), fault)
    at = fault.operations.index("put 2")
    found = attempt(repository, Fault(at, lambda _: KeyError("a fault of ours")))
    assert isinstance(found, ReleaseFailed)
    assert "an internal error, KeyError: 'a fault of ours': please report it with the output of " in str(found)
    assert isinstance(found.__cause__, KeyError)
    assert {tag: held(repository)[tag] for tag in before} == before


def test_a_signal_waits_for_running_work_and_a_second_one_reports_that_it_does_not() -> None:
    running, go = threading.Barrier(3), threading.Event()
    finished: list[int] = []

    def task(number: int) -> None:
        running.wait(10)
        go.wait(10)
        finished.append(number)

    def interrupt(deadline: Deadline, again: bool) -> None:
        running.wait(10)
        os.kill(os.getpid(), signal.SIGINT)
        with contextlib.suppress(CalledOff):
            deadline.sleep(10)
        if again:
            os.kill(os.getpid(), signal.SIGINT)
        else:
            go.set()

    for again, error, done in ((False, KeyboardInterrupt, 2), (True, Abandoned, 0)):
        go.clear()
        finished.clear()
        deadline = Deadline()
        hand = threading.Thread(target=interrupt, args=(deadline, again))
        hand.start()
        with pytest.raises(KeyboardInterrupt) as caught:
            deadline.at_once([lambda: task(1), lambda: task(2)])
        assert (type(caught.value), len(finished)) == (error, done)
        go.set()
        hand.join()


def test_an_interruption_says_so_with_the_exit_code_of_its_signal() -> None:
    repository = ModelRepository.published(["2.1.105"])
    found = attempt(repository, Fault(0, lambda _: KeyboardInterrupt()))
    assert isinstance(found, Interrupted)
    assert found.exit_code == 130


# -- several lines and images --------------------------------------------------------------------------------------


SEVERAL = lines(Scheme(), ["default", "alpine"])


@dataclass
class Several:
    """An image for two variants in a repository where a version is published, and another for a new repository."""

    ui: ModelRepository = field(default_factory=ModelRepository)
    api: ModelRepository = field(
        default_factory=lambda: ModelRepository(name=Repository.parse("registry.local:5000/gallery/api"))
    )

    def __post_init__(self) -> None:
        for scheme in SEVERAL:
            for tag in scheme.tags(parse_version("2.1.105")):
                self.ui.hold(tag, "2.1.105")

    def release(self, fault: Fault) -> None:
        """Release 2.1.106 everywhere, with a fault in whichever repository."""
        self.ui.around = self.api.around = fault
        engine = ModelEngine([self.ui, self.api], [image("new"), image("old")])
        placements = [*(Placement("new", self.ui.name, scheme) for scheme in SEVERAL)]
        opened = Opened(
            [*placements, Placement("old", self.api.name, Scheme())],
            {name: image(name) for name in ("new", "old")},
            {self.ui.name: self.ui, self.api.name: self.api},
        )
        release(engine, opened, Order(parse_version("2.1.106"), via=FloatsVia.REGISTRY))

    def held(self, tags: Iterable[str]) -> dict[str, str]:
        """Return which image each of these tags holds in each repository."""
        return {f"{r.name}:{t}": n for r in (self.ui, self.api) for t, n in held(r).items() if t in tags}


def test_a_failure_anywhere_keeps_every_line_of_every_image_and_the_same_command_finishes() -> None:
    floats = {tag for scheme in SEVERAL for tag in scheme.floating_tags(parse_version("2.1.106"))}
    counting = Fault(-1)
    done = Several()
    done.release(counting)
    finished = done.held(floats)
    assert set(finished.values()) == {"new", "old"}
    for at in range(len(counting.operations)):
        several = Several()
        before = several.held(floats)
        try:
            several.release(Fault(at))
        except TaggerError:
            assert several.held(floats) == before, at
            several.release(Fault(-1))
        assert several.held(floats) == finished, at


class Locked:
    """Refuse to move some floating tags, as a registry does that keeps them immutable."""

    def __init__(self, *tags: str) -> None:
        self._tags = tags

    @contextlib.contextmanager
    def __call__(self, operation: str) -> Iterator[None]:
        """Refuse a write of these tags."""
        if operation in {f"put {tag}" for tag in self._tags}:
            raise Immutable(f"{operation.rsplit(maxsplit=1)[-1]} is immutable: leave floating tags out of that rule")
        yield


def test_immutable_floating_tags_stay_where_they_were_however_often_the_release_runs() -> None:
    repository = ModelRepository.published(["2.1.105"])
    said = []
    for _ in range(3):
        engine = ModelEngine([repository], [image("new")])
        repository.around = Locked(*FLOATS)
        with pytest.raises(TaggerError) as caught:
            release(engine, placed("new", [repository]), Order(parse_version("2.1.106"), via=FloatsVia.REGISTRY))
        assert caught.value.exit_code == 1
        said.append(str(caught.value))
        assert held(repository) == {"2.1.106": "new", **dict.fromkeys(("2.1.105", *FLOATS), "2.1.105")}
    assert len(set(said)) == 1, said
    assert "is immutable: leave floating tags out of that rule; the floating tags are where they were" in said[0]
    assert "to finish" not in said[0]


def test_the_report_says_of_each_floating_tag_whether_it_moved() -> None:
    repository = ModelRepository.published(["2.1.105"])
    repository.hold("2.1.106", "new")
    repository.around = Locked("latest")
    found = attempt(repository)
    assert isinstance(found, TaggerError)
    assert found.exit_code == 1
    assert "2.1, 2 moved to match the published versions, and the others are where they were (latest)" in str(found)
    assert {tag: held(repository)[tag] for tag in FLOATS} == {"2.1": "new", "2": "new", "latest": "2.1.105"}


def test_a_floating_tag_that_is_removed_again_is_not_reported_as_put_back() -> None:
    repository = ModelRepository.published()
    found = attempt(repository, Fault(operations_of_a_first_release().index("put latest"), Denied))
    assert isinstance(found, TaggerError)
    assert found.release
    (told,) = found.release.repositories
    assert {str(c.tag): c.reason for c in told.changes if c.tag in FLOATS} == dict.fromkeys(FLOATS, "removed again")
    assert {tag for tag in repository.held if tag in FLOATS} == set()


def operations_of_a_first_release() -> list[str]:
    counted = Fault(-1)
    attempt(ModelRepository.published(), counted)
    return counted.operations


def test_a_failed_forced_release_of_a_yanked_version_keeps_the_mark_or_names_it() -> None:
    def yanked() -> ModelRepository:
        repository = ModelRepository.published(["2.1.105"])
        repository.hold("2.1.106-yanked", "2.1.106")
        return repository

    counted = Fault(-1)
    assert isinstance(attempt(yanked(), counted, force=True), Release)
    assert counted.operations.index("remove 2.1.106-yanked") > counted.operations.index("put 2.1 2 latest")
    for at, after in itertools.product(range(len(counted.operations)), (False, True)):
        repository = yanked()
        failure = attempt(repository, Fault(at, Denied, after=after), force=True)
        if isinstance(failure, TaggerError):
            assert repository.held.get(Tag("2.1.106-yanked")) == image("2.1.106").manifest.digest
            assert {held(repository)[tag] for tag in FLOATS} == {"2.1.105"}
            repository.around = undisturbed
            assert isinstance(attempt(repository, force=True), Release)
        assert {held(repository)[tag] for tag in FLOATS} == {"new"}
        assert "2.1.106-yanked" not in repository.held


def test_a_mark_that_cannot_be_put_back_is_named() -> None:
    repository = ModelRepository.published(["2.1.105"])
    repository.hold("2.1.106-yanked", "2.1.106")

    @contextlib.contextmanager
    def around(operation: str) -> Iterator[None]:
        if operation == "put 2.1.106-yanked":
            raise Denied("no right to write it")
        yield
        if operation == "remove 2.1.106-yanked":
            raise BadAnswer("the answer was lost")

    repository.around = around
    failure = attempt(repository, force=True)
    assert isinstance(failure, Unsettled)
    assert f"{repository.name}:2.1.106-yanked" in failure.tags
