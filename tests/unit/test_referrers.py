"""Tags that belong to an image: those that spell its digest, and no others."""

from __future__ import annotations

import pytest

from tagger.names import Digest, Tag
from tagger.oci.referrers import hanging_tags, referrers_tag, signature_tags

IMAGE = Digest("sha256:" + "ab" * 32)
NAME = "sha256-" + "ab" * 32


def tags(*texts: str) -> list[Tag]:
    """Take texts for tags."""
    return [Tag(text) for text in texts]


def test_tags_for_signatures_attestations_sboms_and_referrers_belong_to_their_image_in_the_order_of_the_list() -> None:
    listed = tags("2.1.106", f"{NAME}.sbom", NAME, "latest", f"{NAME}.att", f"{NAME}.sig")
    assert hanging_tags(listed, IMAGE) == tags(f"{NAME}.sbom", NAME, f"{NAME}.att", f"{NAME}.sig")
    assert signature_tags(listed, IMAGE) == tags(f"{NAME}.sbom", f"{NAME}.att", f"{NAME}.sig")


@pytest.mark.parametrize(
    "other",
    [
        "sha256-" + "cd" * 32,
        "sha256-" + "cd" * 32 + ".sig",
        f"{NAME}.sig.bak",
        f"{NAME}.txt",
        f"{NAME}-sig",
        f"my-{NAME}.sig",
        NAME.upper(),
        NAME[:-1],
        f"{NAME}0",
        "ab" * 32,
    ],
)
def test_another_tag_belongs_to_no_image(other: str) -> None:
    assert hanging_tags(tags(other), IMAGE) == []


def test_a_long_digest_is_cut_in_the_tag_of_its_list() -> None:
    digest = Digest("sha512:" + "ab" * 64)
    assert referrers_tag(digest) == "sha512-" + "ab" * 32
    assert hanging_tags(tags("sha512-" + "ab" * 32), digest) == tags("sha512-" + "ab" * 32)
