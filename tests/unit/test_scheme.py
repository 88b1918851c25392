"""Versions are strict SemVer 2.0.0, tags spell them, and the floating tags follow from the version tags alone."""

import itertools
import json
import random
import time
from pathlib import Path

import pytest
import semver as by_library
from hypothesis import example, given
from hypothesis import strategies as st
from model import every_tag
from versions import semver

from tagger.errors import InputError, InvalidReference, InvalidVersion, Refused
from tagger.names import Digest
from tagger.rules.candidate import candidate, is_candidate
from tagger.rules.lines import lines
from tagger.rules.numbering import Numbering
from tagger.rules.resolve import Published, resolve
from tagger.rules.scheme import Scheme
from tagger.rules.version import Version, parse_version, precedence

SEMVER = json.loads((Path(__file__).parents[1] / "data/semver.json").read_text())
SCHEME = Scheme()


def versions(texts: str) -> list[Version]:
    return [parse_version(text) for text in texts.split()]


def shown(texts: str) -> dict[str, str]:
    return {tag: str(version) for tag, version in every_tag(versions(texts), SCHEME).items()}


# -- versions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", SEMVER["valid"])
@pytest.mark.parametrize("prefix", ["", "v"])
def test_every_semantic_version_is_read(prefix: str, text: str) -> None:
    plain, _, build = text.partition("+")
    assert str(parse_version(prefix + text, build_metadata="drop")) == plain
    if not build:
        assert str(parse_version(prefix + text)) == plain


@pytest.mark.parametrize("text", [*SEMVER["invalid"], *SEMVER["strays"], "v", "vv1.2.3", "V1.2.3", "v 1.2.3", "=1.2.3"])
@pytest.mark.parametrize("prefix", ["", "v"])
def test_an_invalid_semantic_version_is_refused_with_the_right_form(prefix: str, text: str) -> None:
    with pytest.raises(InvalidVersion, match=r"is not a semantic version: give MAJOR\.MINOR\.PATCH") as refusal:
        parse_version(prefix + text, build_metadata="drop")
    assert all(c.isprintable() for c in str(refusal.value))


@pytest.mark.parametrize("text", ["2.1.106+build.5", "v2.1.106+build.5", "2.1.106-rc.1+5"])
def test_build_metadata_is_refused_with_the_way_to_drop_it(text: str) -> None:
    plain = text.removeprefix("v").partition("+")[0]
    with pytest.raises(Refused) as refusal:
        parse_version(text)
    assert f"release {plain}, or drop the metadata with --build-metadata drop" in str(refusal.value)


def test_dropped_build_metadata_leaves_the_same_version() -> None:
    assert parse_version("2.1.106+build.5", build_metadata="drop") == parse_version("2.1.106")
    assert str(parse_version("2.1.106+build.5", build_metadata="drop")) == "2.1.106"


@pytest.mark.parametrize("versions", ["", "{YYYY}.{n}"])
def test_build_metadata_is_refused_or_dropped_in_any_numbering(versions: str) -> None:
    with pytest.raises(InputError, match="takes 'refuse' or 'drop', not 'keep'"):
        Numbering(versions).asked("2026.1" if versions else "2.1.106", build_metadata="keep")


def test_build_metadata_is_refused_or_dropped_and_nothing_else() -> None:
    with pytest.raises(InputError, match="'refuse' or 'drop', not 'keep'"):
        parse_version("2.1.106", build_metadata="keep")


@pytest.mark.parametrize("text", ["1." * 30_000, "1.2.3-" + "a-" * 30_000 + "!", "1.2.3-" + "1" * 30_000 + "_"])
def test_a_bad_version_is_refused_fast_with_a_short_error(text: str) -> None:
    before = time.process_time()
    with pytest.raises(InvalidVersion) as refusal:
        parse_version(text)
    assert time.process_time() - before < 1
    assert len(str(refusal.value)) < 1_000


# -- the cascade -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "tags"),
    [
        ("2.1.106", "2.1.106 2.1 2 latest"),
        ("v2.1.106", "2.1.106 2.1 2 latest"),
        ("10.0.0", "10.0.0 10.0 10 latest"),
        ("0.2.0", "0.2.0 0.2 latest"),
        ("0.0.0", "0.0.0 0.0 latest"),
        ("2.2.0-rc.1", "2.2.0-rc.1"),
        ("0.2.0-alpha", "0.2.0-alpha"),
        ("2.1.106-0", "2.1.106-0"),
    ],
)
def test_a_version_competes_for_its_cascade_the_most_specific_tag_first(version: str, tags: str) -> None:
    assert " ".join(SCHEME.tags(parse_version(version))) == tags


def test_there_is_no_tag_0() -> None:
    assert "0" not in resolve(versions("0.1.0 0.2.0 0.2.1 1.0.0"), SCHEME)


def test_a_version_with_a_tag_that_is_too_long_is_refused() -> None:
    longest = "1.0.0-" + "a" * 122
    assert SCHEME.version_tag(parse_version(longest)) == longest
    with pytest.raises(InvalidReference, match="has 129 characters: shorten it to at most 128"):
        SCHEME.tags(parse_version(longest + "a"))


# -- reading tags ----------------------------------------------------------------------------------------------------

FOREIGN = [
    *("1", "1.2", "v1.2", "01.2.3", "1.02.3", "1.2.03", "1.2.3.4", "20240101", "2024.01.01", "2.1.106-", "2.1.106-01"),
    *("2.1.106-rc..1", "2.1.106_1", "V2.1.106", "vv2.1.106", "v-2.1.106", "version-2.1.106", "release2.1.106"),
    *("latest", "nightly", "alpine", "2.1-alpine", "sha-4f2c", "1.2.x", "1.x.x", "x.y.z", "...", "1..2", "_1.2.3", ""),
    *("1.2.3\n", "1.2.3+5", "1.2.٣", "١.2.3", "²1.2.3"),  # noqa: RUF001 - digits of other scripts
]


@pytest.mark.parametrize("tag", FOREIGN)
def test_a_foreign_tag_is_not_a_version(tag: str) -> None:
    assert SCHEME.parse(tag) is None


def test_both_spellings_count_as_the_version() -> None:
    assert SCHEME.parse("2.1.106") == SCHEME.parse("v2.1.106") == Version.parse("2.1.106")
    assert SCHEME.parse("v3.0.0-rc.1") == Version.parse("3.0.0-rc.1")


@pytest.mark.parametrize("tags", [*itertools.permutations(["v2.1.106", "2.1.106", "latest"])])
def test_the_schemes_own_spelling_wins_in_any_order_of_the_list(tags: list[str]) -> None:
    assert Published.of(tags, SCHEME).versions == {Version.parse("2.1.106"): "2.1.106"}


def test_the_other_spelling_counts_where_it_is_the_only_one() -> None:
    assert Published.of(["v2.1.106", "2.1.105", "2.1"], SCHEME).versions == {
        Version.parse("2.1.106"): "v2.1.106",
        Version.parse("2.1.105"): "2.1.105",
    }


def test_a_floating_tag_is_never_read_as_a_version() -> None:
    floating = {tag for version in versions("0.1.2 1.2.3 2.1.106") for tag in SCHEME.floating_tags(version)}
    assert not Published.of(floating, SCHEME).versions


# -- where the floating tags belong ----------------------------------------------------------------------------------


def test_each_floating_tag_belongs_to_the_greatest_version_of_its_series() -> None:
    assert shown("2.1.106 1.9.8 2.0.7 1.9.9 2.1.9") == {
        "1.9.8": "1.9.8",
        "1.9.9": "1.9.9",
        "2.0.7": "2.0.7",
        "2.1.9": "2.1.9",
        "2.1.106": "2.1.106",
        "1.9": "1.9.9",
        "1": "1.9.9",
        "2.0": "2.0.7",
        "2.1": "2.1.106",
        "2": "2.1.106",
        "latest": "2.1.106",
    }


def test_a_pre_release_holds_no_floating_tag() -> None:
    assert shown("2.2.0-rc.1 2.1.106")["latest"] == "2.1.106"
    assert shown("2.2.0-rc.1") == {"2.2.0-rc.1": "2.2.0-rc.1"}


def test_without_versions_there_are_no_tags() -> None:
    assert not resolve([], SCHEME)


@pytest.mark.parametrize("ascending", SEMVER["order"], ids=lambda row: f"up to {row[-1]}")
def test_versions_are_ordered_as_rule_11_of_semver_says(ascending: list[str]) -> None:
    shuffled = random.Random(0).sample(ascending, len(ascending))
    assert sorted(shuffled, key=lambda text: precedence(parse_version(text))) == ascending


number = st.integers(0, 3) | st.integers(0, 10**30)
identifier = st.sampled_from(
    ["0", "1", "2", "10", "11", "rc", "RC", "a", "a-", "-", "--1", "1a", "0a"]
) | st.from_regex(r"\A(0|[1-9][0-9]{0,40}|[0-9]{0,3}[a-zA-Z-][0-9a-zA-Z-]{0,5})\Z")
prerelease = st.none() | st.lists(identifier, min_size=1, max_size=4).map(".".join)
any_version = st.builds(semver, number, number, number, prerelease)


@given(any_version, any_version)
@example(semver(1, 0, 0, "9" * 5000), semver(1, 0, 0, "1" + "0" * 5000))
def test_the_sort_key_orders_exactly_as_the_library_of_semver_does(a: Version, b: Version) -> None:
    one, other = by_library.Version.parse(str(a)), by_library.Version.parse(str(b))
    assert (precedence(a) < precedence(b)) == (a < b) == (one < other)
    assert (precedence(a) == precedence(b)) == (a == b) == (one == other)


@given(st.lists(st.builds(semver, st.integers(0, 1), st.integers(0, 1), st.just(0), prerelease), max_size=8))
def test_resolving_gives_what_sorting_the_versions_themselves_would(found: list[Version]) -> None:
    greatest = {tag: version for version in sorted(found) for tag in SCHEME.floating_tags(version)}
    assert resolve(found, SCHEME) == greatest
    assert [*resolve(found, SCHEME).values()] == sorted(greatest.values(), reverse=True)


@pytest.mark.long
def test_a_hundred_thousand_versions_are_resolved() -> None:
    found = [semver(major, minor, patch) for major in range(10) for minor in range(100) for patch in range(100)]
    random.Random(0).shuffle(found)
    goal = {str(tag): version for tag, version in every_tag(found, SCHEME).items()}
    assert goal["latest"] == goal["9"] == goal["9.99"] == Version.parse("9.99.99")
    assert goal["0.0"] == Version.parse("0.0.99")
    assert len(goal) == 100_000 + 1_000 + 9 + 1


@pytest.mark.parametrize("version", ["2.1.106", "2.2.0-rc.1", "2.2.0-rc", "0.1.0"])
@pytest.mark.parametrize("digest", ["0123456789ab", "012345678901a2", "f" * 64])
def test_a_candidate_is_a_separate_pre_release_without_floating_tags(version: str, digest: str) -> None:
    for scheme in lines(Scheme(channels=("rc", "candidate"), prefix="v"), ["default", "alpine"]):
        waits = candidate(parse_version(version), Digest(f"sha256:{digest.ljust(64, '0')}"))
        assert is_candidate(waits)
        assert scheme.floating_tags(waits) == ()
        assert scheme.parse(scheme.version_tag(waits)) == waits
        assert not is_candidate(parse_version(version))


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        (Scheme(revisions="-r{n}"), "2.1.106-r3"),
        (Scheme(revisions="-r{n}"), "2.1.106"),
        (Scheme(versions="{YYYY}.{0M}.{n}", floats=("{YYYY}.{0M}", "latest")), "2026.03.5"),
        (Scheme(versions="main-{n}", floats=("latest",), variant="alpine"), "main-1234"),
    ],
)
def test_a_candidate_reads_back_in_every_way_of_writing_versions(rules: Scheme, text: str) -> None:
    version = rules.numbering.asked(text)
    waits = candidate(version, Digest(f"sha256:{'0123456789ab'.ljust(64, '0')}"))
    found = rules.parse(rules.version_tag(waits))
    assert (found, found and is_candidate(found), rules.floating_tags(waits)) == (waits, True, ())
    assert (found and found.prerelease, precedence(waits) < precedence(version)) == (waits.prerelease, True)
    published = Published.of([rules.version_tag(version), rules.version_tag(waits)], rules)
    assert resolve(published.versions, rules) == resolve([version], rules)
