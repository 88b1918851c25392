"""What a failed release puts back, removes and names, for every state of the version tag and every look at it."""

from dataclasses import dataclass, field, replace

import pytest
from model import ModelRepository, image, placed

from tagger.errors import Conflict, Denied, Immutable, Interrupted, Refused, ReleaseFailed, TaggerError, Unsettled
from tagger.names import Digest, Tag
from tagger.releasing.decision import Decision, Sight, astray, decide, touched
from tagger.releasing.report import ended
from tagger.releasing.state import Foreign, NotBegun, Ours, Share, State, Unknown
from tagger.rules.plan import Observed, plan
from tagger.rules.resolve import Published
from tagger.rules.scheme import Scheme
from tagger.rules.version import parse_version

OWN, OLD, OTHER = (image(name).manifest.digest for name in ("new", "old", "other"))
VERSION, TAG = parse_version("2.1.106"), Tag("2.1.106")
LATEST = Tag("latest")
ABSENT, OUR_IMAGE, OLD_IMAGE, OTHER_IMAGE = Sight(None), Sight(OWN, is_ours=True), Sight(OLD), Sight(OTHER)


def share(state: State, *, before: Digest | None = None, published: Digest | None = None) -> Share:
    """Return the share of a release of 2.1.106 where 2.1.105 has the floating tags.

    The version tag held `before`; if that is nothing, the version may be `published` under its other spelling.
    """
    listed = ["2.1.105", TAG] if before else ["2.1.105", "v2.1.106"] if published else ["2.1.105"]
    floats = dict.fromkeys(map(Tag, ("2.1", "2", "latest")), OTHER)
    digests = {**floats, Tag("2.1.105"): OTHER, TAG: before, Tag("v2.1.106"): published}
    seen = Observed(Published.of(listed, Scheme()), digests)
    (placement,) = placed("new", [ModelRepository()]).placements
    return Share(placement, image("new"), ModelRepository(), seen, plan(VERSION, OWN, seen, overwrite=True), state)


@dataclass(frozen=True)
class Row:
    """A state, a look, and what is decided: to put the old image back, to remove the version tag, or to name it."""

    state: State
    sight: Sight | None
    before: Digest | None = None
    published: Digest | None = None
    put_back: Digest | None = None
    remove: bool = False
    name: bool = False
    now: State | None = None


ROWS = {
    "nothing pushed": Row(NotBegun(OWN), None),
    "nothing pushed over another image": Row(NotBegun(OWN), None, before=OLD),
    "our image stays": Row(Ours(OWN), OUR_IMAGE),
    "our image that was there before stays": Row(Ours(OWN), OUR_IMAGE, before=OWN),
    "our image that a rival overwrote is left to the rival": Row(Ours(OWN), OTHER_IMAGE),
    "our image that somebody removed is left so": Row(Ours(OWN), ABSENT),
    "a look that fails": Row(Ours(OWN), None, name=True),
    "a look that fails after a push without an answer": Row(Unknown(may_land=True), None, name=True),
    "a push that failed": Row(Unknown(may_land=False), ABSENT),
    "a push that failed over another image": Row(Unknown(may_land=False), OLD_IMAGE, before=OLD),
    "an interrupted push may still land": Row(Unknown(may_land=True), ABSENT, name=True),
    "an interrupted push over another image may still land": Row(Unknown(may_land=True), OLD_IMAGE, OLD, name=True),
    "an interrupted push that landed": Row(Unknown(may_land=True), OUR_IMAGE, now=Ours(OWN)),
    "a push whose answer was lost": Row(Unknown(may_land=False), OUR_IMAGE, now=Ours(OWN)),
    "a forced version": Row(Ours(OWN), OUR_IMAGE, before=OLD, put_back=OLD),
    "a forced version whose answer was lost": Row(Unknown(may_land=False), OUR_IMAGE, OLD, put_back=OLD, now=Ours(OWN)),
    "a forced version in its other spelling": Row(Ours(OWN), OUR_IMAGE, published=OLD, remove=True),
    "a forced version that a rival overwrote": Row(Ours(OWN), OTHER_IMAGE, before=OLD),
    "a push of another image": Row(Foreign(OTHER), OTHER_IMAGE, remove=True),
    "a push of another image over an old one": Row(Foreign(OTHER), OTHER_IMAGE, before=OLD, put_back=OLD),
    "a push of another image that a rival overwrote": Row(Foreign(OTHER), OLD_IMAGE),
    "a push of another image that our image replaced": Row(Foreign(OTHER), OUR_IMAGE, now=Ours(OWN)),
}


@pytest.mark.parametrize("name", ROWS)
def test_what_happens_to_the_version_tag(name: str) -> None:
    row = ROWS[name]
    own = frozenset({TAG})
    assert decide(share(row.state, before=row.before, published=row.published), row.sight) == Decision(
        row.now or row.state,
        {TAG: row.put_back} if row.put_back else {},
        own if row.remove else frozenset(),
        own if row.name else frozenset(),
    )


@pytest.mark.parametrize("name", ROWS)
def test_the_floating_tags_are_settled_without_the_new_version_unless_it_belongs_to_somebody_else(name: str) -> None:
    row = ROWS[name]
    failed = share(row.state, before=row.before, published=row.published)
    failed.written = {LATEST: {OWN}}
    goal = decide(failed, row.sight).goal
    assert goal
    rivals = ("rival" in name and row.sight == OTHER_IMAGE) or row.sight == OLD_IMAGE
    assert goal.absent == (frozenset() if row.before or row.published or rivals else {VERSION})
    assert goal.wrote == {LATEST: {OWN, OTHER}}
    assert goal.otherwise[LATEST] == OTHER


def test_a_mark_is_put_back_whatever_the_version_tag_holds() -> None:
    for row in ROWS.values():
        failed = share(row.state, before=row.before, published=row.published)
        failed.first = replace(failed.first, published=Published.of(["2.1.105", "2.1.106-yanked"], Scheme()))
        failed.unmarked = image("old").manifest
        assert decide(failed, row.sight).put_back[Tag("2.1.106-yanked")] == OLD


def test_a_tag_is_in_doubt_as_soon_as_it_may_have_been_written() -> None:
    assert touched(share(NotBegun(OWN))) == set()
    assert touched(share(Unknown(may_land=True))) == {TAG}
    failed = share(Ours(OWN))
    failed.written = {LATEST: set()}
    assert touched(failed) == {TAG, LATEST}


def test_our_image_counts_as_misplaced_under_a_tag_that_was_unreadable_before() -> None:
    failed = share(Ours(OWN))
    failed.first = replace(failed.first, unreadable=frozenset({LATEST}))
    failed.written = {LATEST: {OWN}}
    goal = decide(failed, OUR_IMAGE).goal
    assert goal
    for held, expected in ((OWN, {LATEST}), (OTHER, set())):
        assert astray(failed, goal, Observed(Published.of([], Scheme()), {LATEST: held})) == expected


# -- the error that says what became of it ---------------------------------------------------------------------------


@dataclass
class End:
    """A failure, what is known of its tags, and the error that it ends with."""

    problem: Exception | KeyboardInterrupt
    state: State
    error: type[TaggerError]
    says: str
    now: dict[Tag, Digest | None] = field(default_factory=dict)
    in_doubt: frozenset[Tag] = frozenset()
    before: Digest | None = None


LOST = TaggerError("the registry is down")
ENDS = {
    "a refusal before anything was written": End(Refused("a rule says no"), NotBegun(OWN), Refused, "a rule says no"),
    "a refusal that left nothing": End(Denied("no right"), Unknown(may_land=False), Denied, "no right"),
    "a failure that left nothing": End(
        LOST, Unknown(may_land=False), ReleaseFailed, "the registry is down; no tag moved in the registry"
    ),
    "a failure after the version tag": End(
        LOST,
        Ours(OWN),
        ReleaseFailed,
        "the registry is down; the floating tags are where they were: run the same command again to finish",
        {TAG: OWN},
    ),
    "a refusal that comes again": End(
        Immutable("latest is immutable"),
        Ours(OWN),
        ReleaseFailed,
        "latest is immutable; the floating tags are where they were",
        {TAG: OWN},
    ),
    "floating tags that moved on": End(
        LOST,
        Ours(OWN),
        ReleaseFailed,
        "the registry is down; latest moved to match the published versions, and the others are where they were"
        " (2.1, 2): run the same command again to finish",
        {TAG: OWN, LATEST: OWN},
    ),
    "a version tag of which nobody knows": End(
        KeyboardInterrupt(),
        Unknown(may_land=True),
        Interrupted,
        "interrupted; the upload of registry.local:5000/gallery/ui:2.1.106 was interrupted and may still appear, and"
        " the floating tags are where they were: run the same command again to finish",
        in_doubt=frozenset({TAG}),
    ),
    "an old version tag of which nobody knows": End(
        LOST,
        Unknown(may_land=True),
        Unsettled,
        "the registry is down; could not restore or check registry.local:5000/gallery/ui:2.1.106: run the same command"
        " again",
        in_doubt=frozenset({TAG}),
        before=OLD,
    ),
    "a floating tag of which nobody knows": End(
        KeyboardInterrupt(),
        Ours(OWN),
        Unsettled,
        "interrupted; could not restore or check registry.local:5000/gallery/ui:latest: run the same command again",
        {TAG: OWN},
        frozenset({LATEST}),
    ),
    "a rival's version": End(Conflict("somebody else wrote it"), Ours(OWN), Conflict, "somebody else wrote it"),
}


@pytest.mark.parametrize("name", ENDS)
def test_the_error_says_what_became_of_the_tags(name: str) -> None:
    end = ENDS[name]
    failed = share(end.state, before=end.before)
    failed.now, failed.in_doubt = end.now, {*end.in_doubt}
    error = ended(end.problem, [failed], [])
    assert (type(error), str(error)) == (end.error, end.says)
