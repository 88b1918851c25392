"""From the version tags alone, the rules compute the floating tags that maintainers of official images set by hand."""

import tomllib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypedDict

import pytest

from tagger.rules.lines import lines
from tagger.rules.resolve import Published, resolve
from tagger.rules.scheme import Scheme


class Image(TypedDict, total=False):
    """One image's rows and its scheme, as the file of data holds them."""

    file: str
    commit: str
    left_out: str
    why: str
    variants: list[str]
    known: list[str]
    prefix: str
    floats: list[str]
    aliases: dict[str, str]
    rows: list[str]
    other: list[str]


IMAGES: list[Image] = tomllib.loads((Path(__file__).parents[1] / "data/official-images.toml").read_text())["image"]
PLAIN_KEYS = {"file", "commit", "left_out", "variants", "rows", "other"}


def names(image: Image) -> str:
    return f"{image['file'].removeprefix('library/')} {image.get('prefix', '')}".strip()


def schemes(image: Image) -> Sequence[Scheme]:
    scheme = Scheme(
        floats=tuple(image.get("floats", Scheme().floats)),
        prefix=image.get("prefix", ""),
        aliases=tuple(image.get("aliases", {}).items()),
    )
    return lines(scheme, image["variants"], image.get("known", ()))


def rows_of(image: Image) -> dict[str, set[int]]:
    """The rows that contain each tag."""
    found: dict[str, set[int]] = {}
    for number, row in enumerate(image["rows"]):
        for tag in row.split(", "):
            found.setdefault(tag, set()).add(number)
    return found


@pytest.mark.parametrize("image", IMAGES, ids=names)
def test_the_rules_give_the_floating_tags_that_maintainers_set_by_hand(image: Image) -> None:
    rows = rows_of(image)
    by_hand = {
        tag: where for tag, where in rows.items() if not any(fnmatchcase(tag, o) for o in image.get("other", []))
    }
    by_rule: dict[str, set[int]] = {}
    for scheme in schemes(image):
        versions = Published.of(rows, scheme).versions
        by_hand = {tag: where for tag, where in by_hand.items() if scheme.parse(tag) is None}
        by_rule |= {tag: rows[versions[owner]] for tag, owner in resolve(versions, scheme).items()}
    assert by_rule == by_hand


def test_there_are_many_images_and_most_need_only_their_variants() -> None:
    assert len({image["file"] for image in IMAGES}) >= 12
    plain = [image for image in IMAGES if not image.keys() - PLAIN_KEYS]
    assert len(plain) > len(IMAGES) / 2


@pytest.mark.parametrize("image", [image for image in IMAGES if image.keys() - PLAIN_KEYS], ids=names)
def test_an_image_that_needs_more_gives_a_reason(image: Image) -> None:
    assert image["why"]
