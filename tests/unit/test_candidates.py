"""A release with gates, in memory: whatever fails, tags move only after the gates, and a candidate is used or named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from model import Fault, ModelEngine, ModelRepository, image, placed, release

from tagger.errors import BadAnswer, InputError, TaggerError
from tagger.gating import process
from tagger.gating.command import Command, Ran, Subject
from tagger.git import parse_asked
from tagger.names import Tag
from tagger.releasing.order import FloatsVia, Order
from tagger.releasing.outcome import Release
from tagger.rules.candidate import candidate, is_candidate
from tagger.rules.scheme import Scheme
from tagger.rules.version import parse_version

VERSION = parse_version("2.1.106")
CASCADE = [Tag(name) for name in ("2.1.106", "2.1", "2", "latest")]
NEW = image("new").manifest.digest


class World:
    """A repository with one version, and gates that look at it."""

    def __init__(self) -> None:
        self.repository = ModelRepository.published(["2.1.105"])
        self.before = dict(self.repository.held)
        self.engine = ModelEngine([self.repository], [image("new")])
        self.judged = 0

    def gate(self, command: Command, subject: Subject, *_: object) -> Ran:
        """Let the image through, and check that it waits."""
        self.judged += 1
        there = self.repository.held
        assert subject.digest == NEW == there.get(self.tag, there.get(CASCADE[0]))
        return Ran(command, subject, None)

    @property
    def tag(self) -> Tag:
        """The tag under which the image waits."""
        return Scheme().version_tag(candidate(VERSION, NEW))

    @property
    def waiting(self) -> set[Tag]:
        """The candidates that are there."""
        parsed = {tag: Scheme().parse(tag) for tag in self.repository.held}
        return {tag for tag, version in parsed.items() if version and is_candidate(version)}

    def attempt(self, fault: Fault | None = None) -> Release | TaggerError:
        """Release 2.1.106 with a gate, and return what came of it."""
        if fault:
            self.engine.around = self.repository.around = fault
        order = Order(VERSION, via=FloatsVia.REGISTRY, gates=(Command.parse("judge"),))
        try:
            return release(self.engine, placed("new", [self.repository]), order)
        except TaggerError as error:
            return error


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Callable[[], World]:
    """A function that makes a world whose gates run nothing."""

    def make() -> World:
        found = World()
        monkeypatch.setattr(process, "run", found.gate)
        return found

    return make


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    "error", [lambda _: KeyboardInterrupt(), lambda _: BadAnswer("it fails")], ids=["signal", "failure"]
)
def test_a_candidate_is_named_after_any_failure_and_the_next_attempt_finishes(
    world: Callable[[], World], error: Callable[[str], BaseException], *, after: bool
) -> None:
    counted = Fault(-1)
    assert isinstance(world().attempt(counted), Release)
    for at, operation in enumerate(counted.operations):
        here = world()
        ended = here.attempt(Fault(at, error, after=after))
        done = ended if isinstance(ended, Release) else ended.release
        moved = {tag for tag in CASCADE if here.repository.held.get(tag) != here.before.get(tag)}
        assert here.judged or not moved, operation
        assert moved in (set(), {*CASCADE[:1]}, {*CASCADE}), operation
        said = f"{ended if isinstance(ended, TaggerError) else ''} {' '.join(done.warnings)}"
        assert all(tag in said for tag in here.waiting), (operation, said)
        here.engine.around = here.repository.around = World().repository.around
        again = here.attempt()
        assert isinstance(again, Release), (operation, again)
        assert {tag: here.repository.held[tag] for tag in CASCADE} == dict.fromkeys(CASCADE, NEW)
        assert not here.waiting, operation
        left = {reference.tag for reference in here.engine.local} - {*CASCADE}
        assert all(f"the local tag {here.repository.name}:{tag} could not be removed" in said for tag in left), (
            operation
        )


def test_a_candidate_is_named_after_its_digest_and_its_upload_tag_is_removed(world: Callable[[], World]) -> None:
    here = world()
    here.attempt()
    uploaded = Scheme().version_tag(candidate(VERSION, image("new").id))
    assert here.repository.writes[:2] == [f"put {here.tag}", f"remove {uploaded}"]


class Greedy(ModelRepository):
    """A registry that deletes a manifest with every tag on it."""

    def remove(self, tag: Tag) -> None:
        """Remove a tag, with all tags on the same image."""
        gone = self.held[tag]
        went = [other for other, held in self.held.items() if held == gone]
        assert not {*went} & {*CASCADE[1:]}, "no floating tag may go, not even for a moment"
        self.held = {other: held for other, held in self.held.items() if held != gone}
        self.manifests.pop(gone)


def test_tags_that_a_registry_deleted_with_the_candidate_are_put_back_before_a_floating_tag_moves(
    world: Callable[[], World],
) -> None:
    here = world()
    here.repository = Greedy(held=here.repository.held, manifests=here.repository.manifests)
    here.engine.repositories = [here.repository]
    done = here.attempt()
    assert isinstance(done, Release), done
    assert {tag: here.repository.held[tag] for tag in CASCADE} == dict.fromkeys(CASCADE, NEW)
    assert here.waiting
    assert all(
        any(tag in said and "deletes an image with every tag" in said for said in done.warnings) for tag in here.waiting
    )


def test_a_version_with_a_candidate_tag_that_is_too_long_is_refused_before_anything_is_written() -> None:
    here = World()
    long = parse_version(f"2.1.106-{'x' * 110}")
    order = Order(long, gates=(Command.parse("judge"),))
    with pytest.raises(TaggerError) as caught:
        release(here.engine, placed("new", [here.repository]), order)
    assert (caught.value.exit_code, here.repository.held) == (2, here.before)
    here.repository.hold(f"2.1.106-{'x' * 110}", "new")
    assert release(here.engine, placed("new", [here.repository]), order).outcome == "unchanged"


@pytest.mark.parametrize("text", ["2.1.106-candidate.0123456789ab", "2.2.0-rc.1-candidate.202401011200"])
def test_no_command_releases_a_version_that_reads_as_a_candidate(text: str) -> None:
    with pytest.raises(InputError, match="would look like an image that waits for its gates"):
        parse_asked(text)
    assert str(parse_asked("2.1.106-candidate.1").version) == "2.1.106-candidate.1"
