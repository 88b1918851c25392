"""What an index lists: each entry alone, and everything down to the images, within limits."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from tagger.errors import RegistryError
from tagger.names import Digest
from tagger.oci.manifest import OCI_INDEX, OCI_MANIFEST, Descriptor, Manifest, beneath


def image(text: str) -> Manifest:
    """Make a manifest that differs from that of another text."""
    return Manifest.of(OCI_MANIFEST, json.dumps({"mediaType": OCI_MANIFEST, "text": text}).encode())


def index(*listed: Manifest, text: str = "") -> Manifest:
    """Make an index of manifests."""
    entries = [{"mediaType": each.media_type, "digest": each.digest} for each in listed]
    content = {"mediaType": OCI_INDEX, "manifests": entries, "text": text}
    return Manifest.of(OCI_INDEX, json.dumps(content).encode())


class Reader:
    """Read what is listed, and count how often."""

    def __init__(self, *there: Manifest) -> None:
        self.there = {each.digest: each for each in there}
        self.asked = 0

    def __call__(self, listed: Sequence[Descriptor]) -> list[Manifest | None]:
        """Return what is there."""
        self.asked += len(listed)
        return [self.there.get(each.digest) for each in listed]


def test_an_index_comes_before_the_manifests_that_it_lists() -> None:
    leaf, other = image("leaf"), image("other")
    inner = index(leaf)
    outer = index(leaf, inner, other)
    found = [*beneath(outer, Reader(leaf, other, inner))]
    assert set(found) == {leaf.digest, other.digest, inner.digest}
    assert found.index(inner.digest) < found.index(leaf.digest)


def test_a_listed_manifest_that_is_missing_is_named_too() -> None:
    gone = image("gone")
    assert beneath(index(gone), Reader()) == {gone.digest: None}


def test_an_image_lists_nothing() -> None:
    assert beneath(image("leaf"), Reader()) == {}


def test_a_manifest_that_is_listed_often_is_requested_once_per_level() -> None:
    found = [image("leaf")]
    for depth in range(6):
        found.append(index(*[found[-1]] * 100, index(found[-1], text=str(depth))))
        found.append(index(found[-1]))
    reader = Reader(*found)
    with pytest.raises(RegistryError, match="nests its indexes too deeply"):
        beneath(found[-1], reader)
    assert reader.asked < 50


@pytest.mark.parametrize("deep", [3, 20])
def test_the_depth_of_nested_indexes_is_limited(deep: int) -> None:
    chain = [image("leaf")]
    for _ in range(deep):
        chain.append(index(chain[-1]))
    if deep < 8:
        assert len(beneath(chain[-1], Reader(*chain))) == deep
    else:
        with pytest.raises(RegistryError, match="too deeply: push that image again"):
            beneath(chain[-1], Reader(*chain))


def test_an_index_of_too_many_manifests_is_not_read() -> None:
    reader = Reader()
    entries = [{"mediaType": OCI_MANIFEST, "digest": f"sha256:{number:064x}"} for number in range(10_001)]
    root = Manifest.of(OCI_INDEX, json.dumps({"manifests": entries}).encode())
    with pytest.raises(RegistryError, match="too deeply"):
        beneath(root, reader)
    assert reader.asked == 0


def test_a_broken_entry_does_not_affect_the_others() -> None:
    digest = "sha256:" + "a" * 64
    entries: list[object] = [
        None,
        7,
        "text",
        [],
        {},
        {"digest": 7},
        {"digest": "sha256:12"},
        {"digest": digest, "mediaType": 7},
    ]
    found = Manifest.of(OCI_INDEX, json.dumps({"manifests": entries}).encode())
    assert found.listed() == (Descriptor("7", Digest(digest)),)
    with pytest.raises(RegistryError, match="does not list its parts"):
        found.entries()
    unlisted: tuple[object, ...] = (None, 7, {}, "text")
    for nothing in unlisted:
        assert Manifest.of(OCI_INDEX, json.dumps({"manifests": nothing}).encode()).children() == ()


@pytest.mark.parametrize("size", ["1e999", "-Infinity", "NaN", '"much"', "null"])
def test_an_invalid_size_makes_an_image_unusable(size: str) -> None:
    blob = f'{{"digest": "sha256:{"0" * 64}", "size": {size}}}'
    with pytest.raises(RegistryError, match="does not list its parts"):
        Manifest.of(OCI_MANIFEST, f'{{"config": {blob}, "layers": []}}'.encode()).blobs()
