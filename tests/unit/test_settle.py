"""Settling lists, compares and writes until a round finds nothing to do, or names the tags that it could not settle."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest
from model import ModelRepository, image

from tagger.errors import BadAnswer, Denied, TaggerError, Unreadable, Unsettled
from tagger.names import Digest, Tag
from tagger.repository.observe import look
from tagger.repository.settle import Goal, settle
from tagger.rules.plan import Observed
from tagger.rules.scheme import Scheme
from tagger.rules.version import Version, parse_version
from tagger.work import Pauses

ROUNDS = len(Pauses.SETTLE.value) + 1

SCHEME = Scheme()
FLOATS = [Tag("2.1"), Tag("2"), Tag("latest")]


def digest(name: str) -> Digest:
    return image(name).manifest.digest


def version(text: str) -> Version:
    return parse_version(text)


def settled(repository: ModelRepository, goal: Goal | None = None) -> Observed:
    return settle(repository, SCHEME, FLOATS, goal or Goal())


def floating(repository: ModelRepository) -> dict[str, str]:
    names = {digest(name): name for name in ("2.1.105", "2.1.106", "2.1.107", "1.9.9", "another image")}
    return {tag: names[repository.held[tag]] for tag in FLOATS if tag in repository.held}


def at_every_tag(name: str) -> dict[str, str]:
    return dict.fromkeys(FLOATS, name)


# -- where settling leads ------------------------------------------------------------------------------------------


def test_a_settled_repository_is_read_once_and_not_written() -> None:
    repository = ModelRepository.published(["2.1.105", "2.1.106"])
    watched = Watch(repository)
    seen = settled(repository)
    assert (repository.writes, watched.operations.count("list")) == ([], 1)
    assert [seen.digests[tag] for tag in FLOATS] == [digest("2.1.106")] * 3


def test_drifted_tags_are_put_where_the_versions_say() -> None:
    repository = ModelRepository.published(["2.1.105", "2.1.106"], latest="2.1.105")
    del repository.held[Tag("2")]
    settled(repository)
    assert floating(repository) == at_every_tag("2.1.106")
    assert repository.writes == ["put 2", "put latest"]


@pytest.mark.parametrize(
    ("together", "writes"),
    [
        (FLOATS, ["put 2.1 2 latest"]),
        (FLOATS[:2], ["put 2.1 2", "put latest"]),
        ([], ["put 2", "put 2.1", "put latest"]),
    ],
)
def test_tags_that_a_registry_does_not_take_together_are_put_one_by_one(together: list[Tag], writes: list[str]) -> None:
    repository = ModelRepository.published({"2.1.106": "2.1.106"})
    for tag in FLOATS:
        repository.hold(tag, "2.1.105")
    repository.together = set(together)
    settled(repository)
    assert floating(repository) == at_every_tag("2.1.106")
    assert sorted(repository.writes) == writes


def test_a_present_version_counts_before_a_list_names_it() -> None:
    repository = ModelRepository.published(["2.1.106"])
    repository.manifests[digest("2.1.107")] = image("2.1.107").manifest
    settled(repository, Goal(present={version("2.1.107"): digest("2.1.107")}))
    assert floating(repository) == at_every_tag("2.1.107")


def test_a_present_version_has_the_digest_of_the_registry() -> None:
    repository = ModelRepository.published({"2.1.107": "another image"}, latest="2.1.107")
    settled(repository, Goal(present={version("2.1.107"): digest("2.1.107")}))
    assert floating(repository) == at_every_tag("another image")


def test_a_present_version_outweighs_its_other_spelling_in_a_stale_list() -> None:
    repository = ModelRepository.published(["2.1.105"], **{"v2.1.106": "another image"})
    repository.hold("2.1.106", "2.1.106")
    repository.hidden = {Tag("2.1.106")}
    settled(repository, Goal(present={version("2.1.106"): digest("2.1.106")}))
    assert floating(repository) == at_every_tag("2.1.106")


def test_an_absent_version_does_not_count_although_its_tag_exists() -> None:
    repository = ModelRepository.published(["2.1.106", "2.1.107"])
    settled(repository, Goal(absent=frozenset({version("2.1.107")})))
    assert floating(repository) == at_every_tag("2.1.106")
    assert "2.1.107" in repository.held


def test_a_tag_that_belongs_to_no_version_gets_its_old_image_or_is_removed() -> None:
    repository = ModelRepository.published(["2.1.107"])
    repository.manifests[digest("1.9.9")] = image("1.9.9").manifest
    goal = Goal(absent=frozenset({version("2.1.107")}), otherwise={Tag("2"): digest("1.9.9"), Tag("latest"): None})
    settled(repository, goal)
    assert floating(repository) == {"2.1": "2.1.107", "2": "1.9.9"}
    assert repository.writes == ["put 2", "remove latest"]


def test_tags_outside_the_cascade_are_left_alone() -> None:
    repository = ModelRepository.published(["1.9.9", "2.1.106"], **{"1": "another image", "nightly": "another image"})
    settled(repository)
    assert repository.writes == []


def test_one_manifest_is_fetched_once_for_all_its_tags() -> None:
    repository = ModelRepository.published(["2.1.105", "2.1.106"], **at_every_tag("2.1.105"))
    watched = Watch(repository)
    settled(repository)
    assert [operation for operation in watched.operations if operation.startswith("get")] == [
        f"get {digest('2.1.106')}"
    ]


# -- unexpected behaviour of a registry ----------------------------------------------------------------------------


class Watch:
    """Note each operation of a repository, and call what a test attached to it."""

    def __init__(self, repository: ModelRepository, reactions: Mapping[str, Callable[[], object]] = {}) -> None:
        self.operations: list[str] = []
        self._reactions = reactions
        repository.around = self

    @contextmanager
    def __call__(self, operation: str) -> Iterator[None]:
        self.operations.append(operation)
        for name in (operation, operation.partition(" ")[0]):
            self._reactions.get(name, bool)()
        yield


@pytest.mark.parametrize("lists", range(ROUNDS - 1))
def test_settling_waits_while_reads_are_stale(lists: int) -> None:
    repository = ModelRepository.published(["2.1.105"])
    repository.answer_late(lists)
    repository.hold("2.1.106", "2.1.106")
    watched = Watch(repository)
    settled(repository, Goal(present={version("2.1.106"): digest("2.1.106")}))
    assert floating(repository) == at_every_tag("2.1.106")
    assert watched.operations.count("list") == max(lists + 1, 2)


def test_permanently_stale_reads_are_reported_with_the_tags() -> None:
    repository = ModelRepository.published(["2.1.105"])
    repository.answer_late(ROUNDS)
    repository.hold("2.1.106", "2.1.106")
    watched = Watch(repository)
    with pytest.raises(Unsettled, match=r"2\.1, 2, latest, because something keeps moving them") as problem:
        settled(repository, Goal(present={version("2.1.106"): digest("2.1.106")}))
    assert problem.value.tags == ("2.1", "2", "latest")
    assert watched.operations.count("list") == ROUNDS


def test_a_write_repairs_an_unreadable_tag_while_settling() -> None:
    repository = ModelRepository.published(["2.1.106"])
    repository.unreadable = {Tag("2"), Tag("latest")}
    seen = settled(repository)
    assert repository.writes == ["put 2", "put latest"]
    assert not seen.unreadable


def test_an_unreadable_tag_that_belongs_to_no_version_moves_where_the_goal_says() -> None:
    repository = ModelRepository.published(latest="another image")
    repository.unreadable = {Tag("latest")}
    settled(repository, Goal(otherwise={Tag("latest"): None}))
    assert "latest" not in repository.held


def test_listed_versions_that_are_absent_do_not_count() -> None:
    repository = ModelRepository.published(["2.1.105", "2.1.106"])
    repository.ghosts = {Tag("2.1.107"), Tag("2.2.0"), Tag("9.9.9"), Tag("9.9.8")}
    seen = settled(repository)
    assert repository.writes == []
    assert {str(v) for v in seen.versions} == {"2.1.105", "2.1.106"}


def test_an_absent_spelling_does_not_hide_the_other_one() -> None:
    repository = ModelRepository.published(["2.1.105"], **{"v2.1.106": "2.1.106"})
    repository.ghosts = {Tag("2.1.106")}
    seen = settled(repository)
    assert seen.versions[version("2.1.106")] == "v2.1.106"
    assert floating(repository) == at_every_tag("2.1.106")


def test_tags_that_a_rival_moves_are_settled_to_the_versions_of_that_moment() -> None:
    repository = ModelRepository.published(["2.1.105", "2.1.106"], latest="2.1.105")
    rival = iter(["2.1.107"])

    def release() -> None:
        for name in rival:
            for tag in (name, *FLOATS):
                repository.hold(tag, name)

    Watch(repository, {"put": release})
    settled(repository)
    assert floating(repository) == at_every_tag("2.1.107")


def test_settling_gives_up_when_somebody_keeps_moving_a_tag() -> None:
    repository = ModelRepository.published(["2.1.105", "2.1.106"])
    Watch(repository, {"list": lambda: repository.hold("latest", "2.1.105")})
    with pytest.raises(Unsettled, match="latest, because something keeps moving them: run the same command again"):
        settled(repository)


def failing(error: TaggerError, times: int = 1000) -> Callable[[], None]:
    left = iter(range(times))

    def fail() -> None:
        if next(left, None) is not None:
            raise error

    return fail


@pytest.mark.parametrize("operation", ["list", "head", "get", "put"])
def test_settling_survives_a_temporary_fault(operation: str) -> None:
    repository = ModelRepository.published(["2.1.105", "2.1.106"], latest="2.1.105")
    Watch(repository, {operation: failing(Unreadable("no answer"), times=2)})
    settled(repository)
    assert floating(repository) == at_every_tag("2.1.106")


@pytest.mark.parametrize("operation", ["list", "put"])
def test_a_permanent_fault_is_reported_after_the_last_round(operation: str) -> None:
    repository = ModelRepository.published(["2.1.105", "2.1.106"], latest="2.1.105")
    watched = Watch(repository, {operation: failing(Unreadable("no answer"))})
    with pytest.raises(Unsettled, match=r"in registry\.local:5000/gallery/ui .* latest: no answer") as problem:
        settled(repository)
    assert "latest" in problem.value.tags
    assert watched.operations.count("list") == ROUNDS


@pytest.mark.parametrize("refusal", [Denied("no right"), BadAnswer("the tag is immutable")])
def test_a_permanent_refusal_stops_early(refusal: TaggerError) -> None:
    repository = ModelRepository.published(["2.1.105", "2.1.106"], latest="2.1.105")
    watched = Watch(repository, {"put": failing(refusal)})
    with pytest.raises(Unsettled, match=f"latest: {refusal}") as problem:
        settled(repository)
    assert problem.value.tags == ("latest",)
    assert watched.operations.count("put latest") == 1
    assert watched.operations.count("list") == 2


def test_one_tags_refusal_does_not_stop_the_writes_of_others() -> None:
    repository = ModelRepository.published(["2.1.105", "2.1.106"], **at_every_tag("2.1.105"))
    Watch(repository, {"put 2": failing(Denied("no right"))})
    with pytest.raises(Unsettled) as problem:
        settled(repository)
    assert problem.value.tags == ("2",)
    assert floating(repository) == at_every_tag("2.1.106") | {"2": "2.1.105"}


def test_one_tags_refusal_does_not_end_the_rounds_that_another_needs() -> None:
    repository = ModelRepository.published(["2.1.105", "2.1.106"], **at_every_tag("2.1.105"))
    passing = failing(Unreadable("no answer"), times=2)
    Watch(repository, {"put 2": failing(Denied("no right")), "put latest": passing})
    with pytest.raises(Unsettled) as problem:
        settled(repository)
    assert problem.value.tags == ("2",)
    assert floating(repository) == at_every_tag("2.1.106") | {"2": "2.1.105"}


def test_an_image_that_the_registry_lost_is_reported() -> None:
    repository = ModelRepository.published(["2.1.105", "2.1.106"], latest="2.1.105")
    del repository.manifests[digest("2.1.106")]
    with pytest.raises(Unsettled, match=f"no longer has {digest('2.1.106')}: push that image again"):
        settled(repository)


def test_a_tag_that_is_never_read_back_is_not_verified() -> None:
    repository = ModelRepository.published(["2.1.106"])
    Watch(repository, {"list": failing(Unreadable("no answer"))})
    with pytest.raises(Unsettled) as problem:
        settle(repository, SCHEME, FLOATS, Goal())
    assert problem.value.tags == ("2.1", "2", "latest")


# -- observing -------------------------------------------------------------------------------------------------------


def test_only_deciding_tags_are_read_while_settling() -> None:
    repository = ModelRepository.published(["1.9.8", "1.9.9", "2.0.6", "2.1.105", "2.1.106"], nightly="another image")
    watched = Watch(repository)
    look(repository, SCHEME, SCHEME.floating_tags(version("2.0.7")), present=[version("2.0.7")])
    assert watched.operations[0] == "list"
    assert sorted(watched.operations[1:]) == ["head 2", "head 2.0", "head 2.0.7", "head 2.1.106", "head latest"]


def test_a_version_that_decides_and_cannot_be_read_counts_and_moves_nothing() -> None:
    repository = ModelRepository.published(["2.1.105", "2.1.106"], latest="2.1.105")
    repository.unreadable = {Tag("2.1.106")}
    assert version("2.1.106") in look(repository, SCHEME, FLOATS).versions
    with pytest.raises(Unsettled, match=r"does not say where .*:2\.1\.106 points"):
        settled(repository)
    assert repository.writes == []
    repository.unreadable = {Tag("2.1.105")}
    assert look(repository, SCHEME, FLOATS).digests[Tag("2.1.106")] == digest("2.1.106")


def test_an_unreadable_floating_tag_is_distinguished_from_an_absent_one() -> None:
    repository = ModelRepository.published(["2.1.106"])
    repository.unreadable = {Tag("latest")}
    del repository.held[Tag("2")]
    seen = look(repository, SCHEME, FLOATS)
    assert seen.unreadable == {"latest"}
    assert seen.digests[Tag("latest")] is seen.digests[Tag("2")] is None
