"""A scheme says how a variant spells its versions; variants never touch each other's tags; every tag reads back."""

import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from model import ModelRepository, every_tag, image
from shelf import Shelf
from versions import semver

import tagger as api
from tagger.errors import InputError, InvalidReference, NotThere
from tagger.names import Digest, Tag
from tagger.repository.check import check
from tagger.repository.listing import ls
from tagger.repository.observe import look
from tagger.repository.remove import remove
from tagger.repository.repair import repair
from tagger.rules.lines import apart, lines
from tagger.rules.plan import WRITES, Action, plan
from tagger.rules.resolve import Published, resolve
from tagger.rules.scheme import Scheme
from tagger.rules.version import Version, in_channel, parse_version

ALPINE = Scheme(variant="alpine")
VERSION = Version.parse("2.1.106")


def versions(texts: str) -> list[Version]:
    return [parse_version(text) for text in texts.split()]


def floats(texts: str, scheme: Scheme) -> dict[str, str]:
    return {str(tag): str(version) for tag, version in resolve(versions(texts), scheme).items()}


def test_no_scheme_and_no_image_are_bad_input() -> None:
    for call in (
        lambda: api.tags("2.1.106", schemes=[]),
        lambda: api.release("app", "2.1.106", schemes=[]),
        lambda: api.release_all([], "2.1.106"),
        lambda: api.promote("registry.local/app:1", "2.1.106", schemes=[]),
    ):
        with pytest.raises(InputError, match="no image or no scheme is given"):
            call()


# -- variants --------------------------------------------------------------------------------------------------------


def test_the_name_of_a_variant_ends_every_tag_and_is_its_own_latest() -> None:
    assert " ".join(ALPINE.tags(Version.parse("2.1.106"))) == "2.1.106-alpine 2.1-alpine 2-alpine alpine"
    assert ALPINE.tags(Version.parse("2.2.0-rc.1")) == ("2.2.0-rc.1-alpine",)


def test_only_tags_with_exactly_its_suffix_count_for_a_variant() -> None:
    tags = ["2.1.106", "2.1.105-alpine", "2.1.107-alpine3.18", "2.1.108_alpine", "2.1-alpine", "alpine", "3.0.0-Alpine"]
    assert Published.of(tags, ALPINE).versions == {Version.parse("2.1.105"): "2.1.105-alpine"}


def test_the_plain_variant_never_counts_a_variant_that_it_knows() -> None:
    plain, _ = lines(Scheme(), ["default", "alpine"])
    assert Published.of(["2.1.106-alpine", "2.2.0-rc.1-alpine", "2.1.105", "2.2.0-rc.1"], plain).versions.keys() == {
        Version.parse("2.1.105"),
        Version.parse("2.2.0-rc.1"),
    }


def test_a_configured_variant_is_known_before_it_is_requested() -> None:
    (plain,) = lines(Scheme(), ["default"], known=["alpine"])
    assert plain.parse("2.1.106-alpine") is None


def test_a_tag_belongs_to_the_longest_variant_that_it_ends_in() -> None:
    plain, alpine, slim = lines(Scheme(), ["default", "alpine", "slim-alpine"])
    assert [scheme.parse("2.1.106-slim-alpine") for scheme in (plain, alpine, slim)] == [
        None,
        None,
        Version.parse("2.1.106"),
    ]
    assert [scheme.parse("2.1.106-alpine") for scheme in (plain, alpine, slim)] == [
        None,
        Version.parse("2.1.106"),
        None,
    ]


@pytest.mark.parametrize(
    "tag", ["2.1.107-alpine", "2.2.0-rc.1-alpine", "2.2.0-rc-alpine3.18", "2.2.0-rc.1-slim-alpine"]
)
def test_an_unconfigured_variant_holds_no_floating_tag_of_the_plain_variant(tag: str) -> None:
    scheme = Scheme(channels=("rc",))
    found = resolve(Published.of(["2.1.106", tag], scheme).versions, scheme)
    assert set(found.values()) == {Version.parse("2.1.106")}


def test_a_pre_release_spelt_like_a_variant_is_refused_with_advice() -> None:
    plain, alpine, _ = lines(Scheme(), ["default", "alpine", "slim-alpine"])
    with pytest.raises(InputError, match=r"belongs to variant alpine: give 2\.1\.106 with --variant alpine"):
        plain.tags(parse_version("2.1.106-alpine"))
    with pytest.raises(InputError, match=r"give 2\.1\.106-rc\.1 with --variant slim-alpine"):
        alpine.tags(parse_version("2.1.106-rc.1-slim"))


# -- prefix, templates -----------------------------------------------------------------------------------------------


def test_a_prefix_begins_numbered_tags_and_not_named_ones() -> None:
    scheme = Scheme(prefix="v", aliases=(("lts", "2"),), channels=("rc",))
    assert " ".join(scheme.tags(Version.parse("2.1.106"))) == "v2.1.106 v2.1 v2 latest lts rc"
    assert " ".join(Scheme(prefix="v", variant="alpine").tags(Version.parse("2.1.106"))) == (
        "v2.1.106-alpine v2.1-alpine v2-alpine alpine"
    )


@pytest.mark.parametrize("prefix", ["", "v"])
def test_both_spellings_count_under_either_prefix_and_its_own_wins(prefix: str) -> None:
    found = Published.of(["2.1.106", "v2.1.106", "v2.1.105", "2.1.104"], Scheme(prefix=prefix)).versions
    assert [*found.values()] == [f"{prefix}2.1.106", "v2.1.105", "2.1.104"]


def test_any_other_prefix_separates_versions() -> None:
    scheme = Scheme(prefix="api-")
    assert Published.of(["2.1.106", "v2.1.106", "ui-2.1.106", "api-2.1.105", "api-v2.1.104"], scheme).versions == {
        Version.parse("2.1.105"): "api-2.1.105"
    }


def test_templates_set_the_floating_tags_and_their_order() -> None:
    scheme = Scheme(floats=("edge", "{major}.x", "release-{major}-{minor}", "k8s"), zero_major=False)
    assert scheme.floating_tags(Version.parse("2.1.106")) == ("edge", "2.x", "release-2-1", "k8s")
    assert scheme.floating_tags(Version.parse("0.1.106")) == ("edge", "release-0-1", "k8s")
    assert Scheme(floats=()).tags(Version.parse("2.1.106")) == ("2.1.106",)


def test_there_is_a_tag_0_on_request() -> None:
    assert Scheme(zero_major=True).floating_tags(Version.parse("0.2.0")) == ("0.2", "0", "latest")


# -- aliases, channels, ignore ---------------------------------------------------------------------------------------


def test_an_alias_is_bound_to_its_series() -> None:
    scheme = Scheme(aliases=(("lts", "24"), ("stable", "1.30")))
    found = floats("24.0.1 24.1.0 26.0.0 1.30.2 1.31.0 1.3.0 2.4.0 24.2.0-rc.1", scheme)
    assert (found["lts"], found["stable"], found["latest"]) == ("24.1.0", "1.30.2", "26.0.0")


def test_an_alias_can_take_over_the_name_of_a_template() -> None:
    scheme = Scheme(aliases=(("latest", "24"), ("5", "5.44")))
    found = floats("24.0.1 26.0.0 5.44.1 5.45.0", scheme)
    assert (found["latest"], found["5"], found["5.45"]) == ("24.0.1", "5.44.1", "5.45.0")
    assert scheme.floating_tags(Version.parse("26.0.0")) == ("26.0", "26")
    assert scheme.floating_tags(Version.parse("24.0.1")) == ("24.0", "24", "latest")


def test_an_alias_that_takes_over_latest_does_so_for_the_variant_too() -> None:
    scheme = Scheme(variant="alpine", aliases=(("latest", "24"),))
    assert floats("24.0.1 26.0.0", scheme)["alpine"] == "24.0.1"


def test_a_channel_points_at_the_greatest_of_its_pre_releases_and_the_stable_releases() -> None:
    scheme = Scheme(channels=("rc", "beta"))
    found = floats("2.1.106 2.2.0-rc.2 2.2.0-rc.10 2.3.0-beta.1 2.4.0-alpha", scheme)
    assert (found["rc"], found["beta"], found["latest"]) == ("2.2.0-rc.10", "2.3.0-beta.1", "2.1.106")


def test_a_channel_never_falls_behind_latest() -> None:
    assert floats("2.2.0-rc.2 2.2.0", Scheme(channels=("rc",)))["rc"] == "2.2.0"


@pytest.mark.parametrize(
    ("prerelease", "belongs"),
    [
        *((text, True) for text in ("rc", "rc.1", "rc.1.2", "rc.1.abc")),
        *((text, False) for text in ("rc1", "RC.1", "beta.rc", "rc-alpine", "rc.1-alpine", "alpine", "rc.1.alpine-3")),
    ],
)
def test_only_the_first_identifier_of_a_pre_release_decides_its_channel(prerelease: str, *, belongs: bool) -> None:
    assert in_channel(semver(2, 2, 0, prerelease), "rc") is belongs


def test_an_ignored_version_holds_no_floating_tag_and_is_still_a_version() -> None:
    scheme = Scheme(ignore=frozenset(versions("9999.0.0")))
    assert floats("2.1.106 9999.0.0", scheme) == {"2.1": "2.1.106", "2": "2.1.106", "latest": "2.1.106"}
    assert scheme.parse("9999.0.0") == Version.parse("9999.0.0")
    assert scheme.tags(Version.parse("9999.0.0")) == ("9999.0.0",)


# -- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["rc", "rc.1", "rc1", "RC1", "beta2", "alpha-3", "beta-alpine", "pre", "preview1"])
def test_a_variant_that_looks_like_a_pre_release_is_refused(variant: str) -> None:
    with pytest.raises(InputError, match=f"variant '{variant}' looks like a pre-release"):
        Scheme(variant=variant)


@pytest.mark.parametrize(
    "variant", ["alpine", "alpine3.18", "dev", "prebuilt", "rclone", "betamax", "_x", "slim-alpine"]
)
def test_a_variant_that_only_begins_like_one_is_a_variant(variant: str) -> None:
    assert Scheme(variant=variant).parse(f"2.1.106-{variant}") == Version.parse("2.1.106")


def test_the_name_of_a_channel_cannot_be_a_variant() -> None:
    with pytest.raises(InputError, match="variant 'edge' looks like a pre-release"):
        Scheme(variant="edge", channels=("edge",))
    with pytest.raises(InputError, match="variant 'edge' looks like a pre-release"):
        lines(Scheme(channels=("edge",)), ["default"], known=["edge"])


@pytest.mark.parametrize("variant", ["1", "3.18", "v3", "latest", "-x", ".x", "a b", "a/b", "alpine\n", "ä", "a" * 128])
def test_a_name_that_cannot_end_a_tag_cannot_be_a_variant(variant: str) -> None:
    with pytest.raises(InputError) as refusal:
        Scheme(variant=variant)
    assert str(refusal.value).isprintable()


def test_an_empty_name_cannot_be_a_variant() -> None:
    with pytest.raises(InputError, match="'' cannot name a variant"):
        lines(Scheme(), [""])


def test_a_variant_cannot_be_named_twice() -> None:
    with pytest.raises(InputError, match="variant 'alpine' is named twice"):
        lines(Scheme(), ["alpine", "default", "alpine"])


@pytest.mark.parametrize(
    ("scheme", "variants", "tag"),
    [
        (Scheme(aliases=(("alpine", "2"),)), ["alpine"], "alpine"),
        (Scheme(aliases=(("lts", "2"),)), ["alpine", "lts-alpine"], "lts-alpine"),
        (Scheme(channels=("edge",)), ["alpine", "edge-alpine"], "edge-alpine"),
        (Scheme(floats=("{major}", "{major}-alpine")), ["alpine"], "12-alpine"),
        (Scheme(aliases=(("3-alpine", "2"),)), ["alpine"], "3-alpine"),
        (Scheme(floats=("alpine", "latest")), ["alpine"], "alpine"),
    ],
)
def test_two_variants_that_would_spell_the_same_tag_are_refused(scheme: Scheme, variants: list[str], tag: str) -> None:
    with pytest.raises(InputError, match=f"can spell the same tag, such as {tag}: rename one of them"):
        lines(scheme, variants)


@pytest.mark.parametrize(
    "template",
    [
        "{major}{minor}",
        "{minor}",
        "{minor}.{major}",
        "{major}.{major}",
        "{major}.1",
        "2{major}",
        "{major}0",
        "v1{major}",
    ],
)
def test_a_template_that_cannot_be_inverted_is_refused(template: str) -> None:
    with pytest.raises(InputError, match="is ambiguous"):
        Scheme(floats=(template,))


@pytest.mark.parametrize(
    "template",
    ["{major", "major}", "{}", "{0}", "{x}", "{major:>5}", "{major!r}", "{major.real}", "{major[0]}", "{__class__}"],
)
def test_a_malformed_template_is_refused(template: str) -> None:
    with pytest.raises(InputError, match=r"is malformed: use only \{major\}, \{minor\} and \{patch\}"):
        Scheme(floats=(template,))


@pytest.mark.parametrize("template", ["", " ", "-{major}", ".x", "a/b", "{{major}}", "ä", "x" * 129])
def test_a_template_that_gives_no_tag_is_refused(template: str) -> None:
    with pytest.raises(InvalidReference):
        Scheme(floats=(template,))


@pytest.mark.parametrize(
    "template", ["{major}.{minor}.{patch}", "v{major}.{minor}.{patch}", "{major}.{minor}.{patch}-x", "1.2.3"]
)
@pytest.mark.parametrize("variant", ["", "alpine", "alpine_3"])
def test_a_template_never_spells_a_version_tag(template: str, variant: str) -> None:
    with pytest.raises(InputError, match="is a version tag and never moves"):
        Scheme(floats=(template,), variant=variant)


@pytest.mark.parametrize("name", ["2.1.106", "v2.1.106", "2.1.106-rc.1", "api-2.1.106"])
def test_an_alias_never_spells_a_version_tag(name: str) -> None:
    with pytest.raises(InputError, match="is a version tag and never moves"):
        Scheme(aliases=((name, "2"),), prefix="api-")


@pytest.mark.parametrize("series", ["", "2.1.106", "x", "2.x", "02", "2.", "v2", "2\n", "latest"])
def test_an_alias_is_bound_to_a_series_of_versions(series: str) -> None:
    with pytest.raises(InputError, match=r"not a series of versions: give MAJOR or MAJOR\.MINOR"):
        Scheme(aliases=(("lts", series),))


@pytest.mark.parametrize("channel", ["", "1", "r c", "rc.1", "latest", "rc\n", "-rc"])
def test_a_channel_is_a_pre_release_label(channel: str) -> None:
    with pytest.raises(InputError, match="not a pre-release label"):
        Scheme(channels=(channel,))


@pytest.mark.parametrize("prefix", ["1", "v1", "v1.", "release1", "-", "1.0.0-", "v1.0.0-", "a b", "a/", "v\n"])
def test_a_prefix_never_runs_into_the_version(prefix: str) -> None:
    with pytest.raises(InputError, match="would run into the version"):
        Scheme(prefix=prefix)


def test_a_floating_tag_cannot_be_defined_twice() -> None:
    for bad in (
        {"floats": ("{major}", "{major}")},
        {"floats": ("{major}", "1")},
        {"floats": ("v{major}", "{major}"), "prefix": "v"},
        {"channels": ("rc", "rc")},
        {"aliases": (("lts", "1"), ("lts", "2"))},
        {"aliases": (("rc", "1"),), "channels": ("rc",)},
    ):
        with pytest.raises(InputError, match=r"can spell the same tag|is named twice"):
            Scheme(**bad)


def test_a_tag_whose_floating_tag_would_be_too_long_is_not_a_version() -> None:
    scheme = Scheme(prefix="v", floats=("release-{major}.{minor}",))
    planted = f"{'1' * 122}.0.0"
    assert scheme.parse(planted) is None
    assert Scheme(prefix="v").parse("1.0.0-" + "a" * 122) is None
    with pytest.raises(InvalidReference, match="its floating tags would get too long"):
        scheme.version_tag(parse_version(planted))
    fits = f"{'1' * 115}.0.0"
    assert scheme.parse(fits)
    assert [len(tag) for tag in scheme.tags(parse_version(fits))] == [120, 125]


@pytest.mark.long
def test_a_hundred_thousand_tags_of_several_variants_are_read_and_resolved() -> None:
    base = Scheme(prefix="v", aliases=(("lts", "5"),), channels=("rc",), ignore=frozenset(versions("9.99.99")))
    every = [semver(major, minor, patch) for major in range(10) for minor in range(100) for patch in range(50)]
    found = lines(base, ["default", "alpine"], ["slim-alpine"])
    tags = [tag for scheme in found for version in every for tag in (scheme.version_tag(version),)]
    random.Random(0).shuffle(tags)
    for scheme in found:
        goal = every_tag(Published.of(tags, scheme).versions, scheme)
        assert (goal[scheme.spell("lts")], goal[scheme.spell("latest")]) == (
            Version.parse("5.99.49"),
            Version.parse("9.99.49"),
        )
        assert len(goal) == 50_000 + 1_000 + 9 + 3


# -- every command sees one variant ----------------------------------------------------------------------------------


def shelf() -> Shelf:
    """Publish two variants of an image, everything where it belongs."""
    found = Shelf()
    for scheme, texts in zip(lines(Scheme(), ["default", "alpine"]), ("2.1.105 2.1.106", "2.0.7 2.1.105"), strict=True):
        for tag, version in every_tag(versions(texts), scheme).items():
            found.hold(tag, f"{version}{scheme.variant}")
    return found


def held(repository: Shelf) -> dict[str, Digest]:
    return {str(tag): digest for tag, digest in repository.held.items()}


def test_a_plan_of_a_variant_looks_at_its_own_tags() -> None:
    repository = shelf()
    version = Version.parse("2.0.8")
    seen = look(repository, ALPINE, ALPINE.floating_tags(version), present=[version])
    changes = {str(c.tag): (c.action, c.reason) for c in plan(version, None, seen).changes}
    assert changes == {
        "2.0.8-alpine": (Action.CREATE, None),
        "2.0-alpine": (Action.MOVE, None),
        "2-alpine": (Action.KEEP, "2.1.105 is newer"),
        "alpine": (Action.KEEP, "2.1.105 is newer"),
    }


def test_a_pre_release_moves_its_channel_and_nothing_else() -> None:
    scheme = Scheme(channels=("rc",))
    repository = shelf()
    version = Version.parse("2.2.0-rc.1")
    seen = look(repository, scheme, scheme.floating_tags(version), present=[version])
    changes = {str(c.tag): c.action for c in plan(version, None, seen).changes}
    assert changes == {"2.2.0-rc.1": Action.CREATE, "rc": Action.CREATE}


def test_a_listing_shows_one_variant_and_what_belongs_to_it() -> None:
    plain, alpine = lines(Scheme(), ["default", "alpine"])
    assert [str(row.tag) for row in ls(shelf(), [plain]).versions] == ["2.1.106", "2.1.105"]
    found = ls(shelf(), [alpine])
    assert {str(row.tag): set(row.floating) for row in found.versions} == {
        "2.1.105-alpine": {"2.1-alpine", "2-alpine", "alpine"},
        "2.0.7-alpine": {"2.0-alpine"},
    }
    assert set(found.other) == {"2.1.105", "2.1.106", "2.1", "2", "latest"}


def test_drift_of_a_variant_does_not_concern_the_others() -> None:
    repository = shelf()
    repository.hold("alpine", "2.0.7alpine")
    plain, alpine = lines(Scheme(), ["default", "alpine"])
    assert check(repository, [plain]).ok
    (drifted,) = check(repository, [alpine]).drift
    assert (drifted.tag, drifted.version, drifted.expected) == (
        "alpine",
        Version.parse("2.0.7"),
        Version.parse("2.1.105"),
    )
    before = held(repository)
    assert [move.tag for move in repair(repository, [alpine], dry_run=False).repaired] == ["alpine"]
    assert held(repository) == {**before, "alpine": image("2.1.105alpine").manifest.digest}


def test_a_tag_that_an_alias_takes_over_is_repaired_to_its_series() -> None:
    repository = Shelf.published(["24.0.1", "26.0.0"])
    assert isinstance(repository, Shelf)
    scheme = Scheme(aliases=(("latest", "24"),))
    assert [(m.tag, str(m.version)) for m in repair(repository, [scheme], dry_run=False).repaired] == [
        ("latest", "24.0.1")
    ]
    assert check(repository, [scheme]).ok


@pytest.mark.parametrize("name", ["2.1.105", "v2.1.105", "2.1.105-alpine"])
def test_removing_a_version_of_a_variant_leaves_the_same_version_of_other_variants(name: str) -> None:
    repository = shelf()
    before = held(repository)
    done = remove(repository, [ALPINE], [name])
    fallen = image("2.0.7alpine").manifest.digest
    assert done.removed == ("2.1.105-alpine", "2.1-alpine")
    assert held(repository) == {
        **{tag: digest for tag, digest in before.items() if tag not in done.removed},
        "2-alpine": fallen,
        "alpine": fallen,
    }


def test_a_version_that_only_other_variants_have_cannot_be_removed() -> None:
    repository = shelf()
    with pytest.raises(InputError, match="has none of these tags"):
        remove(repository, [ALPINE], ["2.1.106"])
    assert held(repository) == held(shelf())


TEMPLATES = {"main-{n}": "main-7", "{YYYY}.{0M}.{n}": "2026.03.7", "": "2.1.106"}


@pytest.mark.parametrize(("template", "version"), TEMPLATES.items())
def test_a_version_of_any_template_is_removed_only_in_the_requested_variant_and_line(
    template: str, version: str
) -> None:
    plain, alpine = lines(Scheme(versions=template, floats=("latest",)), ["default", "alpine"])
    (other,), (beside,) = apart([[Scheme(versions="other-{n}", floats=("other",), line="other")], [plain]])
    found = {version: "plain", "latest": "plain", f"{version}-alpine": "alpine", "alpine": "alpine", "other-1": "other"}

    def removed(scheme: Scheme, name: str) -> set[str]:
        repository = Shelf()
        for tag, held in found.items():
            repository.hold(tag, held)
        try:
            return {*remove(repository, [scheme], [name]).removed}
        except NotThere:
            return set()

    assert removed(alpine, version) == {f"{version}-alpine", "alpine"}
    assert removed(plain, version) == removed(beside, version) == {version, "latest"}
    assert removed(other, version) == removed(beside, "other-1") == set()


def test_a_version_in_a_variant_means_all_of_its_revisions_there() -> None:
    repository = Shelf()
    for tag in ("2.1.106-r0", "2.1.106-r1", "2.1.106", "2.1.106-r0-alpine", "2.1.106-r1-alpine"):
        repository.hold(tag, tag)
    (alpine,) = lines(Scheme(revisions="-r{n}"), ["alpine"])
    assert {*remove(repository, [alpine], ["2.1.106"]).removed} == {"2.1.106-r0-alpine", "2.1.106-r1-alpine"}


# -- laws ------------------------------------------------------------------------------------------------------------

VARIANTS = ["alpine", "slim-alpine", "alpine3.18", "slim", "_x"]
some_versions = st.builds(
    semver,
    st.integers(0, 3),
    st.integers(0, 2),
    st.integers(0, 2),
    st.sampled_from([None, None, None, "rc", "rc.1", "rc.10", "beta.1", "alpine", "rc.1-slim", "slim-alpine", "x.1-y"]),
)
histories = st.frozensets(some_versions, max_size=8)
series_text = st.sampled_from(["0", "1", "2", "1.0", "2.1", "3.2", "0.1"])
bases = st.builds(
    Scheme,
    floats=st.lists(
        st.sampled_from(["{major}.{minor}", "{major}", "latest", "{major}.x", "r{major}-{minor}", "newest"]),
        unique=True,
    ).map(tuple),
    prefix=st.sampled_from(["", "v", "api-"]),
    aliases=st.dictionaries(st.sampled_from(["lts", "old", "latest", "1", "2.1"]), series_text).map(
        lambda found: tuple(found.items())
    ),
    channels=st.lists(st.sampled_from(["rc", "beta"]), unique=True).map(tuple),
    ignore=st.frozensets(some_versions, max_size=2),
    zero_major=st.booleans(),
)


@st.composite
def images(draw: st.DrawFn) -> tuple[Scheme, ...]:
    """Draw the variants of an image."""
    asked = draw(st.lists(st.sampled_from(["default", *VARIANTS]), unique=True, min_size=1))
    return lines(draw(bases), asked)


def tags_of(scheme: Scheme, version: Version) -> tuple[Tag, ...]:
    """Spell a version; a pre-release spelt like a variant is refused, which another test shows."""
    try:
        return scheme.tags(version)
    except InputError:
        assume(False)
        raise


@given(images(), some_versions)
def test_parsing_inverts_spelling_for_every_scheme(found: tuple[Scheme, ...], version: Version) -> None:
    for scheme in found:
        tag, *cascade = tags_of(scheme, version)
        assert scheme.parse(tag) == version
        assert [other.parse(tag) for other in found if other is not scheme] == [None] * (len(found) - 1)
        assert not any(other.parse(floating_tag) for floating_tag in cascade for other in found)


@given(images(), some_versions, some_versions)
def test_variants_never_touch_each_others_tags(found: tuple[Scheme, ...], a: Version, b: Version) -> None:
    for number, one in enumerate(found):
        for other in found[:number]:
            assert not {*tags_of(one, a)} & {*tags_of(other, b)}


@given(images(), histories, some_versions)
def test_a_release_of_one_variant_leaves_every_other_variant_where_it_belongs(
    found: tuple[Scheme, ...], history: frozenset[Version], version: Version
) -> None:
    def digest(scheme: Scheme, of: Version) -> Digest:
        made = image(f"{of}{scheme.variant}").manifest
        repository.manifests[made.digest] = made
        return made.digest

    def resolved(scheme: Scheme, of: frozenset[Version]) -> dict[Tag, Digest]:
        return {tag: digest(scheme, owner) for tag, owner in every_tag(of, scheme).items()}

    repository = ModelRepository()
    for scheme in found:
        for known in history | {version}:
            tags_of(scheme, known)
        repository.held |= resolved(scheme, history)
    released = found[0]
    seen = look(repository, released, released.floating_tags(version), present=[version])
    for change in plan(version, digest(released, version), seen).changes:
        if change.action in WRITES:
            assert change.after
            repository.write(change.tag, repository.manifests[change.after])
    expected = resolved(released, history | {version})
    for scheme in found[1:]:
        expected |= resolved(scheme, history)
    assert repository.held == expected


@given(images(), histories, some_versions)
def test_another_version_never_moves_a_floating_tag_back(
    found: tuple[Scheme, ...], history: frozenset[Version], version: Version
) -> None:
    scheme = found[0]
    for known in history | {version}:
        tags_of(scheme, known)
    before, after = every_tag(history, scheme), every_tag(history | {version}, scheme)
    assert before.keys() <= after.keys()
    assert all(after[tag] >= owner for tag, owner in before.items())
    assert all(after[tag] in (owner, version) for tag, owner in before.items())


@given(images(), histories, histories)
def test_resolving_in_steps_gives_the_same_as_resolving_all_versions_together(
    found: tuple[Scheme, ...], history: frozenset[Version], further: frozenset[Version]
) -> None:
    scheme = found[0]
    tags = [tag for version in history for tag in tags_of(scheme, version)[:1]]
    before = Published.of(tags, scheme)
    assert before.owners == resolve(before.versions, scheme)
    assert before.owners_with(further) == resolve({*before.versions, *further}, scheme)


@given(images(), histories)
def test_a_channel_is_at_latest_or_ahead(found: tuple[Scheme, ...], history: frozenset[Version]) -> None:
    scheme = found[0]
    for known in history:
        tags_of(scheme, known)
    goal = every_tag(history, scheme)
    stable = [version for version in history if not version.prerelease and scheme.counts(version)]
    for channel in scheme.channels if stable else ():
        assert goal[scheme.spell(channel)] >= max(stable)
