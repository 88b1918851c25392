"""Every request of rm, yank, prune, repair and promote fails once, in every way, and so does the process itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from pushed import Pushed, Repository
from services import Registry
from shop import (
    MODES,
    WRITES,
    Mode,
    Play,
    Theatre,
    deletes_nothing,
    deletes_single_tags,
    failing,
    untag,
)
from stage import Point, summed_up
from thinned import EVERY

from tagger.oci.placeholder import placeholders
from tagger.rules.scheme import Scheme

Tell = Callable[[str], None]
AT_ONCE = 12  # what fails mostly waits
FALLEN = dict.fromkeys(("2.1", "2", "latest"), "2.1.105")


# -- repositories ----------------------------------------------------------------------------------------------------


def gallery(here: Repository) -> None:
    """Publish versions, a yanked one, a nightly build of the newest one's image, and a signature."""
    images = {version: image(here, version) for version in ("2.1.105", "2.1.106")}
    image(here, "2.1.104-yanked")
    here.attached(images["2.1.106"], "sig", "signature")
    for tag in ("2.1", "2", "latest", "nightly"):
        point(here, tag, images["2.1.106"])


def line_of_one(here: Repository) -> None:
    """Publish a version that is the only one of its minor series, and has its image for itself."""
    gallery(here)
    only = image(here, "2.2.0")
    for tag in ("2.2", "2", "latest"):
        point(here, tag, only)


def drifted(here: Repository) -> None:
    """Publish versions whose floating tags are at an older one, at an image of no version, and missing."""
    gallery(here)
    point(here, "latest", image(here, "2.0.8"))
    point(here, "2.1", image(here, "stray"))
    untag(here, "2")


def half_removed(here: Repository) -> None:
    """Publish versions, the newest of which was being removed when that was killed."""
    gallery(here)
    placeholder = placeholders("2.1.106")[0]
    assert here.registry.put(here.path, "2.1.106", placeholder.body, placeholder.media_type) == 201


def built(here: Repository) -> None:
    """Publish versions, and an image that is to be the next one."""
    gallery(here)
    image(here, "build-77")


def built_for_two(here: Repository) -> None:
    """Publish versions, and images of two platforms that are to be the next one."""
    gallery(here)
    here.image("build-amd64", "gallery amd", layers=1, platform="linux/amd64")
    here.image("build-arm64", "gallery arm", layers=1, platform="linux/arm64")


def yanked(here: Repository) -> None:
    """Yank a version, which was the newest."""
    gallery(here)
    point(here, "2.1.106-yanked", image(here, "2.1.106"))
    for tag in ("2.1.106", "nightly"):
        untag(here, tag)
    for tag in ("2.1", "2", "latest"):
        point(here, tag, image(here, "2.1.105"))


def built_again(here: Repository) -> None:
    """Yank a version, and have another image that is to be this version."""
    gallery(here)
    point(here, "2.1.106-yanked", image(here, "2.1.106"))
    untag(here, "2.1.106")
    for tag in ("2.1", "2", "latest"):
        point(here, tag, image(here, "2.1.105"))
    image(here, "build-77")


def rebuilt(here: Repository) -> None:
    """Publish a version that was rebuilt once, and one before it."""
    image(here, "2.1.105")
    image(here, "2.1.106-r0")
    newest = image(here, "2.1.106-r1")
    for tag in ("2.1.106", "2.1", "2", "latest"):
        point(here, tag, newest)


def one_built(there: Repository) -> None:
    """Publish an image."""
    image(there, "build-77")


def signed(there: Repository) -> None:
    """Publish an image for two platforms, with a signature of each kind."""
    index = there.index("build-77", "build", platforms=("linux/amd64",))
    there.referrer(index, "signature")
    there.attached(index, "sig", "signature")


def image(repository: Repository, tag: str) -> Pushed:
    return repository.image(tag, tag, layers=1)


def point(repository: Repository, tag: str, image: Pushed) -> None:
    assert repository.registry.put(repository.path, tag, image.body, image.media_type) == 201


# -- plays -----------------------------------------------------------------------------------------------------------

NEXT = dict.fromkeys(("2.1.107", "2.1", "2", "latest"), "build-77")
PROMOTE = Play("promote", "promote HERE:build-77 2.1.107", built, NEXT, releases="2.1.107")
PLAYS = (
    Play("rm", "rm HERE 2.1.106 --yes", gallery, {"2.1.106": None, **FALLEN}, takes=frozenset({"2.1.106"})),
    Play(
        "rm of a line's only version",
        "rm HERE 2.2.0 --yes",
        line_of_one,
        {"2.2.0": None, "2.2": None, "2": "2.1.106", "latest": "2.1.106"},
        takes=frozenset({"2.2.0", "2.2"}),
    ),
    Play(
        "rm where single tags are deleted",
        "rm HERE 2.2.0 2.1.106 --yes",
        line_of_one,
        {"2.2.0": None, "2.2": None, "2.1.106": None, **FALLEN},
        takes=frozenset({"2.2.0", "2.2", "2.1.106"}),
        rule=deletes_single_tags,
    ),
    Play(
        "yank",
        "yank HERE 2.1.106",
        gallery,
        {"2.1.106": None, "2.1.106-yanked": "2.1.106", **FALLEN},
        takes=frozenset({"2.1.106"}),
    ),
    Play(
        "yank of a line's only version",
        "yank HERE 2.2.0",
        line_of_one,
        {"2.2.0": None, "2.2": None, "2.2.0-yanked": "2.2.0", "2": "2.1.106", "latest": "2.1.106"},
        takes=frozenset({"2.2.0", "2.2"}),
    ),
    Play(
        "yank where nothing is deleted",
        "yank HERE 2.1.106",
        gallery,
        {"2.1.106-yanked": "2.1.106", **FALLEN},
        rule=deletes_nothing,
    ),
    Play(
        "undo of a yank",
        "yank HERE 2.1.106 --undo",
        yanked,
        {"2.1.106-yanked": None, **dict.fromkeys(("2.1.106", "2.1", "2", "latest"), "2.1.106-yanked")},
        takes=frozenset({"2.1.106-yanked"}),
        releases="2.1.106",
    ),
    Play(
        "prune",
        "prune HERE --keep 1 --yes",
        gallery,
        {"2.1.105": None},
        takes=frozenset({"2.1.105"}),
    ),
    Play("repair", "repair HERE", drifted, {"2.0": "2.0.8", **dict.fromkeys(("2.1", "2", "latest"), "2.1.106")}),
    Play(
        "repair after an unfinished removal",
        "repair HERE",
        half_removed,
        {"2.1.106": None, **FALLEN},
        takes=frozenset({"2.1.106"}),
    ),
    PROMOTE,
    Play(
        "promote to another registry",
        "promote THERE:build-77 2.1.107 --to HERE",
        gallery,
        NEXT,
        fill_there=one_built,
        releases="2.1.107",
    ),
    Play(
        "promote with signatures",
        "promote THERE:build-77 2.1.107 --to HERE",
        gallery,
        NEXT,
        fill_there=signed,
        releases="2.1.107",
    ),
    Play(
        "promote images of two platforms",
        "promote HERE:build-amd64 2.1.107 --platform-image HERE:build-arm64",
        built_for_two,
        dict.fromkeys(("2.1.107", "2.1", "2", "latest"), "2.1.107"),
        releases="2.1.107",
    ),
    Play(
        "promote over a yanked version",
        "promote HERE:build-77 2.1.106 --force",
        built_again,
        {"2.1.106-yanked": None, **dict.fromkeys(("2.1.106", "2.1", "2", "latest"), "build-77")},
        takes=frozenset({"2.1.106-yanked"}),
        releases="2.1.106",
    ),
    Play(
        "promote a rebuild",
        "promote HERE:build-77 2.1.106 --revision",
        built,
        {
            "2.1.106-r0": "2.1.106",
            **dict.fromkeys(("2.1.106-r1", "2.1.106", "2.1", "2", "latest"), "build-77"),
        },
        releases="2.1.106-r1",
        scheme=Scheme(revisions="-r{n}"),
    ),
    Play(
        "yank of a version with its rebuilds",
        "yank HERE 2.1.106",
        rebuilt,
        {
            "2.1.106-r0": None,
            "2.1.106-r1": None,
            "2.1.106": None,
            "2.1.106-r0-yanked": "2.1.106-r0",
            "2.1.106-r1-yanked": "2.1.106-r1",
            **FALLEN,
        },
        takes=frozenset({"2.1.106-r0", "2.1.106-r1", "2.1.106"}),
        scheme=Scheme(revisions="-r{n}"),
    ),
)


# -- faults ----------------------------------------------------------------------------------------------------------


def faults(theatre: Theatre) -> list[tuple[Point, Mode]]:
    """Yield what is tried: everything with each write, and with the first and the last of the reads between two.

    Every other read is only cut off: to the process and to the registry it is the same moment. So is what sends one
    more blob or manifest as the first one was sent.
    """
    points = theatre.points
    writing = [_writes(point) for point in points]
    tried: dict[tuple[Point, Mode], None] = {}
    for number, point in enumerate(points):
        turns = writing[number] or writing[number - 1] or writing[number + 1 : number + 2] in ([True], [])
        whole = turns and _is_first(point) and any(writing[: number + 1])
        modes: Sequence[Mode] = MODES if whole else ("cut",)
        tried |= {(point, mode): None for mode in modes if writing[number] or mode != "lost"}
    return list(tried)[::EVERY]


def _is_first(point: Point) -> bool:
    return point.number == 0 or point.method == "DELETE" or not re.search("DIGEST|UPLOAD|uploads", point.path)


def _writes(point: Point) -> bool:
    return point.method in WRITES and not point.path.endswith("/PROBE")


def run_all(theatre: Theatre, chosen: Sequence[tuple[Point, Mode]]) -> str:
    """Meet every fault, some at once, and return the summary."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        cases = list(pool.map(lambda each: failing(theatre, *each), chosen))
    broken = [str(case) for case in cases if case.wrong]
    assert not broken, f"{len(broken)} of {len(cases)} faults:\n" + "\n\n".join(broken)
    missed = [f"{case.mode} at {case.point}" for case in cases if _writes(case.point) and not case.reached]
    assert not missed, f"never met: {missed}"
    return f"{theatre.play.name}: {len(theatre.points)} requests, {summed_up(cases)}"


@pytest.mark.engine
def test_the_first_and_the_last_write_of_a_promotion_may_fail(
    guarded_registry: Registry, elsewhere: Registry, tell: Tell
) -> None:
    theatre = Theatre.of(PROMOTE, guarded_registry, elsewhere)
    writes = [point for point in theatre.points if point.method == "PUT"]
    tell(run_all(theatre, [(writes[0 if number % 2 else -1], mode) for number, mode in enumerate(MODES)]))


@pytest.mark.engine
@pytest.mark.long
@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.name.replace(" ", "-"))
def test_every_request_of_a_command_may_fail(
    play: Play, guarded_registry: Registry, elsewhere: Registry, tell: Tell
) -> None:
    theatre = Theatre.of(play, guarded_registry, elsewhere)
    tell(run_all(theatre, faults(theatre)))
