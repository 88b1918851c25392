"""The laws that every history of releases obeys, in the model: floating tags are a function of the version tags."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from model import (
    Around,
    Death,
    Fault,
    ModelEngine,
    ModelRepository,
    Turns,
    both,
    bursts,
    every_tag,
    image,
    placed,
    release,
    undisturbed,
)
from thinned import EVERY, EXAMPLES
from versions import semver

from tagger.errors import (
    BadAnswer,
    Denied,
    EngineError,
    Interrupted,
    RegistryUnreachable,
    TaggerError,
    Unreadable,
    Unsettled,
)
from tagger.names import Digest, Repository, Tag
from tagger.releasing.order import FloatsVia, Order
from tagger.releasing.outcome import Outcome, Release
from tagger.repository.observe import look
from tagger.repository.repair import repair
from tagger.repository.settle import Goal, settle
from tagger.rules.next import Part, successor
from tagger.rules.plan import WRITES, Observed, Plan, plan
from tagger.rules.resolve import Published
from tagger.rules.scheme import Scheme
from tagger.rules.version import Version

SCHEME = Scheme()
law = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

# Few numbers, so that versions collide: the same line, the same version, each greater and each less than the other.
versions = st.builds(
    semver,
    st.integers(0, 2),
    st.integers(0, 1),
    st.integers(0, 2),
    st.sampled_from([None, None, None, "rc.1", "rc.2", "alpha"]),
)
histories = st.sets(versions, max_size=7)
FLOATING = sorted(
    {tag for major in range(3) for minor in range(2) for tag in SCHEME.floating_tags(semver(major, minor))}
)
drifts = st.dictionaries(st.sampled_from(FLOATING), st.sampled_from(["stray", "1.0.0", "2.1.2"]), max_size=4)
foreign_tags = st.sets(
    st.sampled_from(
        ["1.2", "01.0.0", "v01.0.0", "20240101", "2.1.2-", "1.0.0.0", "nightly", "v1", "2.x", "2.1-alpine", "V1.0.0"]
    )
)


def noted(repository: ModelRepository) -> list[str]:
    """A list to which each operation of a repository is added from now on."""
    operations: list[str] = []

    def around(operation: str) -> AbstractContextManager[None]:
        operations.append(operation)
        return undisturbed(operation)

    repository.around = around
    return operations


def names(found: Iterable[Version]) -> list[str]:
    return [str(version) for version in found]


def digest(version: Version) -> Digest:
    return image(str(version)).manifest.digest


def resolved(found: Iterable[Version]) -> dict[Tag, Digest]:
    """Return where every tag belongs, when each version has its own image."""
    return {tag: digest(version) for tag, version in every_tag(found, SCHEME).items()}


def floating(repository: ModelRepository) -> dict[Tag, Digest]:
    return {tag: held for tag, held in repository.held.items() if SCHEME.parse(tag) is None}


def seen_by(version: Version, repository: ModelRepository) -> Observed:
    return look(repository, SCHEME, SCHEME.floating_tags(version), present=[version])


def planned(version: Version, repository: ModelRepository) -> Plan:
    return plan(version, digest(version), seen_by(version, repository))


def apply(found: Plan, repository: ModelRepository) -> None:
    for change in found.changes:
        if change.action in WRITES:
            assert change.after
            repository.write(change.tag, repository.manifests[change.after])


def release_by_plan(version: Version, repository: ModelRepository) -> None:
    manifest = image(str(version)).manifest
    repository.manifests[manifest.digest] = manifest
    apply(planned(version, repository), repository)


# -- tags and plans --------------------------------------------------------------------------------------------------


@law
@given(versions)
def test_a_version_tag_reads_as_its_version_in_both_spellings(version: Version) -> None:
    tag = SCHEME.version_tag(version)
    assert SCHEME.parse(tag) == SCHEME.parse(f"v{tag}") == version


@law
@given(histories, versions)
def test_a_plan_leads_from_the_resolved_tags_to_the_resolved_tags(history: set[Version], version: Version) -> None:
    repository = ModelRepository.published(names(history))
    release_by_plan(version, repository)
    assert repository.held == resolved(history | {version})


@law
@given(histories, versions, drifts, st.sets(st.sampled_from(FLOATING)))
def test_a_plan_moves_floating_tags_to_its_own_image_and_touches_no_other_tag(
    history: set[Version], version: Version, drift: dict[str, str], unreadable: set[Tag]
) -> None:
    repository = ModelRepository.published(names(history), **drift)
    repository.unreadable = unreadable & repository.held.keys()
    before = dict(repository.held)
    release_by_plan(version, repository)
    owners = every_tag(history | {version}, SCHEME)
    own = {tag: digest(version) for tag in SCHEME.tags(version) if owners[tag] == version}
    assert repository.held == before | own


@law
@given(st.lists(versions, unique=True, max_size=7), st.randoms(use_true_random=False))
def test_the_order_of_publishing_does_not_matter(found: list[Version], chance: random.Random) -> None:
    one, other = ModelRepository.published(), ModelRepository.published()
    for version in found:
        release_by_plan(version, one)
    for version in chance.sample(found, len(found)):
        release_by_plan(version, other)
    assert one.held == other.held == resolved(found)


@law
@given(histories, versions, st.dictionaries(st.sampled_from(FLOATING), versions, max_size=4))
def test_a_release_never_moves_a_floating_tag_to_a_lower_version(
    history: set[Version], version: Version, behind: dict[Tag, Version]
) -> None:
    repository = ModelRepository.published(names(history))
    for tag, old in behind.items():
        if old in history and tag in SCHEME.floating_tags(old):
            repository.hold(tag, str(old))
    of = {digest(v): v for v in history}
    for change in planned(version, repository).floating_changes:
        if change.action in WRITES and change.before:
            assert change.version > of[change.before]


@law
@given(histories, versions, drifts)
def test_a_pre_release_moves_no_floating_tag(history: set[Version], version: Version, drift: dict[str, str]) -> None:
    pre_release = version if version.prerelease else Version.parse(f"{version}-rc.1")
    repository = ModelRepository.published(names(history), **drift)
    before = floating(repository)
    release_by_plan(pre_release, repository)
    assert floating(repository) == before
    assert digest(pre_release) in repository.held.values()


@law
@given(histories, versions, drifts, foreign_tags)
def test_a_foreign_tag_changes_no_plan(
    history: set[Version], version: Version, drift: dict[str, str], foreign: set[str]
) -> None:
    without = ModelRepository.published(names(history), **drift)
    among = ModelRepository.published(names(history), **drift | dict.fromkeys(foreign, "foreign"))
    assert planned(version, among) == planned(version, without)


@law
@given(histories, versions, st.sets(versions, max_size=4))
def test_a_listed_version_that_is_absent_changes_no_plan(
    history: set[Version], version: Version, ghosts: set[Version]
) -> None:
    without, among = ModelRepository.published(names(history)), ModelRepository.published(names(history))
    among.ghosts = {Tag(name) for name in names(ghosts)} - among.held.keys()
    assert planned(version, among) == planned(version, without)


@law
@given(histories, versions)
def test_a_version_spelt_with_v_counts_the_same(history: set[Version], version: Version) -> None:
    repository = ModelRepository()
    for tag, other in every_tag(history, SCHEME).items():
        repository.hold(f"v{other}" if SCHEME.parse(tag) else tag, str(other))
    release_by_plan(version, repository)
    goal = every_tag(history | {version}, SCHEME)
    assert {tag: repository.held[tag] for tag in SCHEME.floating_tags(version)} == {
        tag: digest(goal[tag]) for tag in SCHEME.floating_tags(version)
    }


# -- settling --------------------------------------------------------------------------------------------------------


@law
@given(
    history=histories,
    version=versions,
    drift=drifts,
    unreadable=st.sets(st.sampled_from(FLOATING)),
    stale=st.integers(0, 3),
    foreign=foreign_tags,
)
def test_settling_leads_to_the_resolved_tags_and_settling_again_writes_nothing(
    *,
    history: set[Version],
    version: Version,
    drift: dict[str, str],
    unreadable: set[Tag],
    stale: int,
    foreign: set[str],
) -> None:
    manifest = image(str(version)).manifest
    for goal, reached in (
        (Goal(), history),
        (Goal(present={version: manifest.digest}), history | {version}),
        (Goal(absent=frozenset({version})), history - {version}),
    ):
        repository = ModelRepository.published(names(history), **drift | dict.fromkeys(foreign, "stray"))
        repository.manifests[manifest.digest] = manifest
        repository.unreadable = unreadable & repository.held.keys()
        repository.answer_late(stale)
        before = dict(repository.held)
        floats = SCHEME.floating_tags(version)
        settle(repository, SCHEME, floats, goal)
        wanted = {tag: held for tag, held in resolved(reached).items() if tag in floats}
        assert repository.held == before | wanted
        repository.writes.clear()
        if not repository.unreadable & set(floats):
            asked = noted(repository)
            settle(repository, SCHEME, floats, goal)
            assert (repository.writes, asked.count("list")) == ([], 1)


@law
@given(histories, versions, drifts)
def test_a_tag_that_belongs_to_no_version_moves_where_the_goal_says(
    history: set[Version], version: Version, drift: dict[str, str]
) -> None:
    repository = ModelRepository.published(names(history), **drift)
    repository.hold("kept", "kept")
    floats = SCHEME.floating_tags(version)
    otherwise = {tag: repository.held[Tag("kept")] if number % 2 else None for number, tag in enumerate(floats)}
    settle(repository, SCHEME, floats, Goal(absent=frozenset({version}), otherwise=otherwise))
    claimed = resolved(history - {version})
    assert {tag: repository.held.get(tag) for tag in floats} == {
        tag: claimed.get(tag, otherwise[tag]) for tag in floats
    }


# -- releases that fail ----------------------------------------------------------------------------------------------

ENGINE_OPERATIONS = ("inspect", "tag", "untag", "start", "push")


@dataclass
class World:
    """One Engine and the repositories that it releases to."""

    engine: ModelEngine
    repositories: Sequence[ModelRepository]

    @classmethod
    def of(cls, history: Iterable[Version], version: Version, repositories: int = 1) -> "World":
        """Publish a history in each repository, with the image of a version and an older `latest` in the Engine."""
        found = [ModelRepository.published(names(history)) for _ in range(repositories)]
        for number, repository in enumerate(found):
            repository.name = Repository.parse(f"registry.local:{5000 + number}/gallery/ui")
        engine = ModelEngine(found, [image(str(version)), image("built before")])
        engine.local[found[0].name.tagged(Tag("latest"))] = image("built before").id
        return cls(engine, found)

    def disturb(self, around: Around) -> None:
        """Put something around every operation."""
        self.engine.around = around
        for repository in self.repositories:
            repository.around = around

    def release(self, version: Version, via: FloatsVia, *, overwrite: bool = False) -> Release:
        """Release the image of a version."""
        order = Order(version, via=via, overwrite=overwrite)
        return release(self.engine, placed(str(version), self.repositories), order)


def failing_with(registry: type[TaggerError] | None) -> Callable[[str], BaseException]:
    """Make the error of an operation: the Engine's, the registry's, or (None) an interruption."""

    def error(operation: str) -> BaseException:
        if registry is None:
            return KeyboardInterrupt()
        return (EngineError if operation.startswith(ENGINE_OPERATIONS) else registry)(f"injected at {operation}")

    return error


def operations(world: World, attempt: Callable[[World], object]) -> int:
    counted = Fault(-1)
    world.disturb(counted)
    attempt(world)
    return len(counted.operations)


def outcome(attempt: Callable[[World], Release], world: World) -> Release | TaggerError:
    try:
        return attempt(world)
    except TaggerError as error:
        return error


faults = st.sampled_from([BadAnswer, Unreadable, Denied, RegistryUnreachable, None])


@settings(law, max_examples=max(EXAMPLES // 6, 5))  # of which each fails at every request
@given(
    history=histories,
    version=versions,
    via=st.sampled_from(FloatsVia),
    repositories=st.integers(1, 2),
    fault=faults,
    after=st.booleans(),
)
def test_a_release_that_fails_anywhere_keeps_every_floating_tag_and_the_same_command_finishes_it(
    *,
    history: set[Version],
    version: Version,
    via: FloatsVia,
    repositories: int,
    fault: type[TaggerError] | None,
    after: bool,
) -> None:
    assume(version not in history)
    attempt = partial(World.release, version=version, via=via)
    tag = SCHEME.version_tag(version)
    for at in range(operations(World.of(history, version, repositories), attempt)):
        world = World.of(history, version, repositories)
        local = dict(world.engine.local)
        world.disturb(Fault(at, failing_with(fault), after=after))
        failure = outcome(attempt, world)
        if isinstance(failure, TaggerError):
            standing = [repository for repository in world.repositories if tag in repository.held]
            for repository in world.repositories:
                assert repository.held == resolved(history) | ({tag: digest(version)} if repository in standing else {})
            assert world.engine.local == local | {r.name.tagged(tag): image(str(version)).id for r in standing}
            assert told_truly(failure, world)
            assert isinstance(failure, Interrupted) == (fault is None)
            assert failure.exit_code != Unsettled.exit_code
            world.disturb(undisturbed)
            assert attempt(world).outcome in (Outcome.RELEASED, Outcome.UNCHANGED)
        assert all(repository.held == resolved(history | {version}) for repository in world.repositories)


def told_truly(failure: TaggerError, world: World) -> bool:
    """Whether the report has only digests that the tags hold."""
    assert failure.release
    held = {repository.name: repository.held for repository in world.repositories}
    return all(
        change.after in (held[told.repository].get(change.tag), None)
        for told in failure.release.repositories
        for change in told.changes
    )


@settings(law, max_examples=max(EXAMPLES // 6, 5))  # of which each fails at every request
@given(histories, versions, st.sampled_from(FloatsVia), faults, st.booleans())
def test_a_forced_release_that_fails_anywhere_puts_the_version_back_too(
    history: set[Version], version: Version, via: FloatsVia, fault: type[TaggerError] | None, after: bool
) -> None:
    def overwritten() -> World:
        world = World.of(history | {version}, version)
        for tag, held in world.repositories[0].held.copy().items():
            if held == digest(version):
                world.repositories[0].hold(tag, "another image")
        return world

    attempt = partial(World.release, version=version, via=via, overwrite=True)
    for at in range(operations(overwritten(), attempt)):
        world = overwritten()
        before = dict(world.repositories[0].held)
        world.disturb(Fault(at, failing_with(fault), after=after))
        failure = outcome(attempt, world)
        if isinstance(failure, TaggerError):
            assert world.repositories[0].held == before
            assert told_truly(failure, world)
            if isinstance(failure, Unsettled):  # an interrupted push may still land
                assert fault is None
                assert failure.tags == (str(world.repositories[0].name.tagged(SCHEME.version_tag(version))),)
            world.disturb(undisturbed)
            attempt(world)
        assert world.repositories[0].held == resolved(history | {version})


# -- releasers at the same time --------------------------------------------------------------------------------------


@law
@given(histories, versions, st.sampled_from(FloatsVia))
def test_a_floating_tag_that_a_rival_has_moved_is_not_written(
    history: set[Version], version: Version, via: FloatsVia
) -> None:
    ours = version.stable
    rival = successor([], ours, Part.PATCH)
    assume(not {ours, rival} & history)
    world = World.of(history, ours)
    (repository,) = world.repositories
    written: list[str] = []

    @contextmanager
    def around(operation: str) -> Iterator[None]:
        yield
        if operation.startswith(("push", "put")):
            written.append(operation)
        if operation == f"push {ours}":
            release_by_plan(rival, ModelRepository(held=repository.held, manifests=repository.manifests))

    world.disturb(around)
    world.release(ours, via)
    assert written == [f"push {ours}"]
    assert repository.held == resolved(history | {ours, rival})


@dataclass
class Rivals:
    """Releasers of one repository, each with its own version and image; on separate machines, or all on one."""

    repository: ModelRepository
    versions: Sequence[Version]
    shared: bool

    def release(
        self, turns: Turns, faults: Sequence[Around], vias: Sequence[FloatsVia] = (), stale: Sequence[int] = ()
    ) -> list[Release | BaseException]:
        """Release all versions at the same time, in turns; `stale` says how many lists each reads as of the start."""
        images = [image(str(version)) for version in self.versions]
        machines = [ModelEngine([self.repository], images) for _ in self.versions]
        tasks = []
        for number, (version, fault, machine) in enumerate(zip(self.versions, faults, machines, strict=True)):
            around = both(turns, fault)
            engine = replace(machines[0] if self.shared else machine, around=around)
            via = vias[number] if vias else FloatsVia.ENGINE
            order = Order(version, via=via)
            repository = replace(self.repository, around=around)
            repository.answer_late(stale[number] if stale else 0)
            tasks.append(partial(release, engine, placed(str(version), [repository]), order))
        return turns.run(tasks)


rivalries = st.builds(
    lambda history, found, shared: Rivals(ModelRepository.published(names(history - set(found))), found, shared),
    histories,
    st.lists(versions, min_size=2, max_size=4, unique=True),
    st.booleans(),
)


@law
@given(rivalries, st.randoms(use_true_random=False))
def test_concurrent_releases_in_the_model_end_at_the_resolved_tags_of_all_versions(
    rivals: Rivals, chance: random.Random
) -> None:
    before = Published.of(rivals.repository.held, SCHEME).versions
    results = rivals.release(Turns(bursts(chance)), [undisturbed] * len(rivals.versions))
    assert [isinstance(result, Release) and result.outcome for result in results] == [Outcome.RELEASED] * len(results)
    assert rivals.repository.held == resolved([*before, *rivals.versions])


@law
@given(rivalries, st.randoms(use_true_random=False), st.lists(st.integers(0, 45), min_size=4, max_size=4), st.data())
def test_a_failure_among_rivals_leaves_no_floating_tag_below_a_released_version(
    rivals: Rivals, chance: random.Random, places: list[int], data: st.DataObject
) -> None:
    before = Published.of(rivals.repository.held, SCHEME).versions
    failing = [Fault(at, failing_with(data.draw(faults))) for at in places]
    half = [fault if number % 2 else undisturbed for number, fault in enumerate(failing)]
    results = rivals.release(Turns(bursts(chance)), half[: len(rivals.versions)])
    released = {v for v, result in zip(rivals.versions, results, strict=True) if isinstance(result, Release)}
    assert all(isinstance(result, Release | TaggerError) for result in results)
    of = {digest(v): v for v in (*before, *rivals.versions)}
    standing = every_tag(Published.of(rivals.repository.held, SCHEME).versions, SCHEME)
    for tag, least in every_tag([*before, *released], SCHEME).items():
        # If a version is published but its release failed, its floating tags are left to its next run.
        if standing[tag] in {*before, *released}:
            assert of[rivals.repository.held[tag]] >= least

    for version in rivals.versions:
        engine = ModelEngine([rivals.repository], [image(str(version))])
        release(engine, placed(str(version), [rivals.repository]), Order(version))
    assert rivals.repository.held == resolved([*before, *rivals.versions])


# -- releasers that crash, and registries that answer late -----------------------------------------------------------


class Existing(ModelRepository):
    """A repository that exists, as `repair` wants to know."""

    def listed(self) -> Sequence[Tag]:
        """List every tag."""
        return self.tags()


deaths = st.one_of(st.none(), st.builds(Death, st.integers(0, 45), after=st.booleans()))


interleavings = given(
    rivals=rivalries,
    chance=st.randoms(use_true_random=False),
    dying=st.lists(deaths, min_size=4, max_size=4),
    stale=st.lists(st.integers(0, 3), min_size=4, max_size=4),
    via=st.lists(st.sampled_from(FloatsVia), min_size=4, max_size=4),
)


def check_one_repair(
    *,
    rivals: Rivals,
    chance: random.Random,
    dying: list[Death | None],
    stale: list[int],
    via: list[FloatsVia],
) -> None:
    before = dict(rivals.repository.held)
    rivals.release(Turns(bursts(chance)), [death or undisturbed for death in dying[: len(rivals.versions)]], via, stale)
    held = rivals.repository.held
    assert before.keys() <= held.keys()
    standing = {tag: digest for tag, digest in held.items() if SCHEME.parse(tag)}
    repair(Existing(held=held, manifests=rivals.repository.manifests), [SCHEME], dry_run=False)
    assert held == resolved(Published.of(standing, SCHEME).versions)


@law
@interleavings
def test_one_repair_after_crashes_and_stale_reads_leads_to_the_resolved_tags_of_all_versions(**drawn: Any) -> None:
    check_one_repair(**drawn)


@pytest.mark.long
@settings(law, max_examples=20_000 // EVERY)
@interleavings
def test_one_repair_leads_to_the_resolved_tags_after_very_many_schedules(**drawn: Any) -> None:
    check_one_repair(**drawn)
