"""Rebuilds and builds in the model: the newest revision holds its version's tags, and no image loses its tag."""

import random
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from model import ModelEngine, ModelRepository, Turns, bursts, image, placed, release

from tagger.errors import InputError, InvalidVersion, Refused, Unreadable
from tagger.names import Tag
from tagger.releasing.order import Order
from tagger.releasing.outcome import Outcome, Release
from tagger.rules.lines import apart
from tagger.rules.numbering import Numbering
from tagger.rules.resolve import Published, resolve
from tagger.rules.scheme import Scheme
from tagger.rules.version import mark, yanked_by

REBUILT = Scheme(revisions="-r{n}")
law = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def held(repository: ModelRepository) -> dict[str, str]:
    """The name of the image that each tag holds."""
    names = {image(name).manifest.digest: name for name in (*"abcdefgh", *LETTERS)}
    return {str(tag): names[digest] for tag, digest in sorted(repository.held.items())}


LETTERS = [f"{letter}{number}" for letter in "xyz" for number in range(3)]


def rebuild(repository: ModelRepository, name: str, version: str, scheme: Scheme = REBUILT) -> Release:
    """Release an image as the next revision of a version."""
    order = Order(scheme.numbering.asked(version), as_revision=True)
    return release(ModelEngine([repository], [image(name)]), placed(name, [repository], [scheme]), order)


def plainly(repository: ModelRepository, name: str, version: str, scheme: Scheme = REBUILT) -> Release:
    """Release an image as a version."""
    order = Order(scheme.numbering.asked(version))
    return release(ModelEngine([repository], [image(name)]), placed(name, [repository], [scheme]), order)


# -- revisions -------------------------------------------------------------------------------------------------------


def test_the_first_rebuild_keeps_the_previous_image_under_revision_0() -> None:
    repository = ModelRepository()
    plainly(repository, "a", "2.1.106")
    assert held(repository) == {"2.1.106": "a", "2.1": "a", "2": "a", "latest": "a"}
    done = rebuild(repository, "b", "2.1.106")
    assert done.version == "2.1.106-r1"
    floats = dict.fromkeys(("2.1.106", "2.1", "2", "latest"), "b")
    assert held(repository) == {"2.1.106-r0": "a", "2.1.106-r1": "b", **floats}
    assert [(c.action, c.tag) for c in done.repositories[0].changes if c.version.revision == 0] == [
        ("create", "2.1.106-r0")
    ]
    rebuild(repository, "c", "2.1.106")
    assert (held(repository)["2.1.106-r2"], held(repository)["2.1.106"], held(repository)["latest"]) == ("c",) * 3
    assert held(repository)["2.1.106-r0"] == "a"


def test_the_same_image_again_is_unchanged_whichever_revision_it_is() -> None:
    repository = ModelRepository()
    plainly(repository, "a", "2.1.106")
    assert rebuild(repository, "a", "2.1.106").outcome is Outcome.UNCHANGED
    rebuild(repository, "b", "2.1.106")
    rebuild(repository, "c", "2.1.106")
    before = held(repository)
    for name, number in (("a", 0), ("b", 1), ("c", 2)):
        done = rebuild(repository, name, "2.1.106")
        assert (done.outcome, done.version) == (Outcome.UNCHANGED, f"2.1.106-r{number}")
    assert held(repository) == before


def test_a_rebuild_of_an_older_version_moves_only_the_tags_of_that_version() -> None:
    repository = ModelRepository()
    for name, version in (("a", "2.1.105"), ("b", "2.1.106"), ("c", "3.0.0")):
        plainly(repository, name, version)
    rebuild(repository, "d", "2.1.105")
    after = held(repository)
    assert (after["2.1.105"], after["2.1.105-r1"], after["2.1.105-r0"]) == ("d", "d", "a")
    assert (after["2.1"], after["2"], after["latest"]) == ("b", "b", "c")


def test_a_plain_version_that_follows_a_rebuild_is_not_released_again() -> None:
    repository = ModelRepository()
    plainly(repository, "a", "2.1.106")
    rebuild(repository, "b", "2.1.106")
    assert plainly(repository, "b", "2.1.106").outcome is Outcome.UNCHANGED
    before = held(repository)
    with pytest.raises(Refused, match=r"2\.1\.106 follows its rebuild 2\.1\.106-r1: .*--revision"):
        plainly(repository, "c", "2.1.106")
    assert held(repository) == before


def test_a_foreign_image_under_the_plain_tag_keeps_a_tag_too() -> None:
    repository = ModelRepository()
    plainly(repository, "a", "2.1.106")
    rebuild(repository, "b", "2.1.106")
    repository.write(Tag("2.1.106"), image("c").manifest)
    done = rebuild(repository, "d", "2.1.106")
    after = held(repository)
    assert (done.version, after["2.1.106-r2"], after["2.1.106-r3"], after["2.1.106"]) == ("2.1.106-r3", "c", "d", "d")


def test_a_failure_after_the_first_rebuild_was_tagged_loses_nothing() -> None:
    repository = ModelRepository()
    plainly(repository, "a", "2.1.106")
    before = held(repository)
    engine = ModelEngine([repository], [])  # its push fails, since it has no image
    order = Order(REBUILT.numbering.asked("2.1.106"), as_revision=True)
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the Engine says
        release(engine, placed("b", [repository], [REBUILT]), order)
    assert held(repository) == {**before, "2.1.106-r0": "a"}


def test_an_unreadable_image_does_not_lose_its_tag() -> None:
    repository = ModelRepository()
    plainly(repository, "a", "2.1.106")
    before = held(repository)
    repository.unreadable.add(Tag("2.1.106"))
    with pytest.raises(Unreadable, match=r"where 2\.1\.106 points"):
        rebuild(repository, "b", "2.1.106")
    with pytest.raises(Unreadable, match=r"2\.1\.106 points, and its image would lose that tag"):
        plainly(repository, "b", "2.1.106-r1")
    assert held(repository) == before
    repository.unreadable.clear()
    assert rebuild(repository, "b", "2.1.106").version == "2.1.106-r1"


def test_without_revisions_in_the_settings_a_rebuild_is_refused() -> None:
    with pytest.raises(InputError, match=r'revisions = "-r\{n\}"'):
        rebuild(ModelRepository(), "a", "2.1.106", Scheme())


def test_a_version_with_a_revision_cannot_be_rebuilt() -> None:
    with pytest.raises(InputError, match=r"2\.1\.106-r3 names a revision already"):
        rebuild(ModelRepository(), "a", "2.1.106-r3")


def at_once(repository: ModelRepository, chance: random.Random, scheme: Scheme, orders: dict[str, Order]) -> None:
    """Release images at the same time, in turns, and check that the floating tags end at the resolved ones."""
    turns = Turns(bursts(chance))

    def releaser(name: str, order: Order) -> Release:
        mine = replace(repository, around=turns)
        return release(ModelEngine([mine], [image(name)], around=turns), placed(name, [mine], [scheme]), order)

    results = turns.run([partial(releaser, name, order) for name, order in orders.items()])
    # A rebuild whose number was taken may find its image tagged by the other one.
    assert all(isinstance(each, Release) and each.problem is None for each in results), results
    after, published = held(repository), Published.of(repository.held, scheme)
    assert {*after.values()} >= {*orders}
    goal = {str(tag): after[str(published.versions[v])] for tag, v in resolve(published.versions, scheme).items()}
    assert {tag: after[tag] for tag in goal} == goal


@law
@given(st.booleans(), st.randoms(use_true_random=False))
def test_two_concurrent_rebuilds_are_both_published_under_their_own_numbers(plain: bool, chance: random.Random) -> None:
    repository = ModelRepository()
    if plain:
        plainly(repository, "a", "2.1.106")
    order = Order(REBUILT.numbering.asked("2.1.106"), as_revision=True)
    at_once(repository, chance, REBUILT, {"x0": order, "x1": order})
    assert not plain or "a" in held(repository).values()


@law
@given(st.sampled_from(["2.1.105", "2.1.107", "2.2.0", "1.0.0"]), st.randoms(use_true_random=False))
def test_a_rebuild_and_a_concurrent_release_end_at_the_resolved_tags(other: str, chance: random.Random) -> None:
    repository = ModelRepository()
    plainly(repository, "a", "2.1.106")
    asked = REBUILT.numbering.asked
    at_once(repository, chance, REBUILT, {"x0": Order(asked("2.1.106"), as_revision=True), "x1": Order(asked(other))})


# -- builds ----------------------------------------------------------------------------------------------------------


@law
@given(st.lists(st.integers(0, 2000), min_size=2, max_size=3, unique=True), st.randoms(use_true_random=False))
def test_concurrent_builds_leave_the_floating_tag_at_the_latest(numbers: list[int], chance: random.Random) -> None:
    scheme = Scheme(versions="main-{n}", floats=("edge",))
    orders = {
        name: Order(scheme.numbering.asked(f"main-{number}")) for name, number in zip(LETTERS, numbers, strict=False)
    }
    repository = ModelRepository()
    at_once(repository, chance, scheme, orders)
    assert held(repository)["edge"] == held(repository)[f"main-{max(numbers)}"]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), min_size=1, max_size=8, unique=True))
def test_a_release_never_moves_a_floating_tag_of_a_calendar_down(found: list[tuple[int, int]]) -> None:
    scheme = Scheme(versions="{YY}.{0M}", floats=("{YY}", "latest"))
    repository, names = ModelRepository(), "abcdefgh"
    most = (-1, -1)
    for name, (year, month) in zip(names, found, strict=False):
        plainly(repository, name, f"{year}.{month:02}", scheme)
        most = max(most, (year, month))
        assert held(repository)["latest"] == held(repository)[f"{most[0]}.{most[1]:02}"]


# -- templates -------------------------------------------------------------------------------------------------------

FIELDS = ["{n}", "{patch}", "{YYYY}", "{YY}", "{0Y}", "{MM}", "{0M}", "{WW}", "{0W}", "{DD}", "{0D}", "{k:04}"]
templates = st.lists(st.sampled_from(FIELDS), min_size=1, max_size=4, unique=True).flatmap(
    lambda fields: st.builds(
        lambda head, between, revisions: (
            head + "".join(part for pair in zip(fields, [*between, ""], strict=True) for part in pair),
            revisions,
        ),
        st.sampled_from(["", "main-", "build_", "v"]),
        st.lists(st.sampled_from([".", "-", "_", "b"]), min_size=len(fields) - 1, max_size=len(fields) - 1),
        st.sampled_from(["", "-r{n}", "-{n}", ".{n}"]),
    )
)


def spelt_by(numbering: Numbering, numbers: list[int]) -> str:
    """Spell a version, with a year where it has one."""
    of = zip(numbering.names, numbers, strict=False)
    return numbering.spell([2000 + number if name == "YYYY" else number for name, number in of])


@given(templates, st.lists(st.integers(1, 9), min_size=5, max_size=5))
def test_a_tag_of_a_template_reads_back_or_is_refused(template: tuple[str, str], numbers: list[int]) -> None:
    try:
        numbering = Numbering(*template)
    except InputError:
        assume(False)
    spelt = numbering.spell(
        [*(2000 + n if name == "YYYY" else n for name, n in zip(numbering.names, numbers, strict=False))]
    )
    version = numbering.read(spelt)
    assume(version is not None)  # a version that would end like two revisions is invalid
    assert version is not None
    assert version.text == spelt
    assert numbering.read(mark(version).text) == mark(version)
    assert yanked_by(mark(version)) == version
    if template[1]:
        rebuilt = numbering.rebuilt(version, 12)
        read = numbering.read(rebuilt.text)
        assert read is not None
        assert (read, read.revision, numbering.plain(read)) == (rebuilt, 12, numbering.plain(version))


@given(templates, templates, st.lists(st.integers(1, 12), min_size=8, max_size=8))
def test_two_lines_never_read_each_others_versions(
    one: tuple[str, str], other: tuple[str, str], numbers: list[int]
) -> None:
    try:
        groups = apart(
            [
                [Scheme(versions=one[0], revisions=one[1], floats=("a",), line="one")],
                [Scheme(versions=other[0], revisions=other[1], floats=("b",), line="other")],
            ]
        )
    except InputError:
        assume(False)
    (first,), (second,) = groups
    for mine, theirs, given_numbers in ((first, second, numbers[:4]), (second, first, numbers[4:])):
        names = mine.numbering.names
        spelt = mine.numbering.spell(
            [2000 + n if name == "YYYY" else n for name, n in zip(names, given_numbers, strict=False)]
        )
        assert mine.parse(spelt) is None or theirs.parse(spelt) is None
        assert theirs.parse(f"{spelt}-r3") is None or mine.parse(f"{spelt}-r3") is None


@pytest.mark.parametrize(
    ("versions", "revisions"),
    [
        ("main", ""),
        ("{n}{k}", ""),
        ("{n", ""),
        ("{0}", ""),
        ("{n}.{n}", ""),
        ("a/{n}", ""),
        ("{n:4}", ""),
        ("x-yanked.{n}", ""),
        ("", "{n}"),
        ("", "r{n}"),
        ("", "-r"),
        ("", "-{n}-{k}"),
        ("", "-{n}x"),
        ("", "-yanked{n}"),
        ("", "/{n}"),
    ],
)
def test_a_template_that_could_not_be_read_back_is_refused(versions: str, revisions: str) -> None:
    with pytest.raises(InputError):
        Numbering(versions, revisions)


@pytest.mark.parametrize(
    "wrong", ["main-01", "main-", "main-1234-rc.1", "2.1.106", "Main-1", "main-1 ", "main-" + "9" * 500, ""]
)
def test_a_tag_that_does_not_fit_a_template_is_not_a_version(wrong: str) -> None:
    numbering = Numbering("main-{n}")
    assert numbering.read(wrong) is None
    with pytest.raises(InvalidVersion, match=r"does not match the template 'main-\{n\}': give one such as main-"):
        numbering.asked(wrong)


@pytest.mark.parametrize(
    ("versions", "revisions"), [("main-{n}", "-{n}"), ("{YYYY}.{0M}.{n}", ".{n}"), ("{n}-r{build}", "-r{n}")]
)
def test_versions_that_end_like_revisions_are_refused_with_the_reason(versions: str, revisions: str) -> None:
    with pytest.raises(InputError, match=r"end like revisions .* give revisions another form, such as -rebuild"):
        Numbering(versions, revisions)
    assert Numbering(versions, "-rebuild{n}").sample
