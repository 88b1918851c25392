"""A repository keeps the same promises in the model, in the in-process registry, and in a real one.

So what tests of the steps learn from the model is what a registry does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol

import pytest
from doubles import DOCKER_MANIFEST, OCI_INDEX, ModelRegistry, index, manifest
from model import ModelRepository
from services import Registry as RealRegistry
from test_contract import upload

from tagger.names import Registry, Repository, Tag
from tagger.oci.manifest import Descriptor, Manifest
from tagger.registry.connection import Connection
from tagger.registry.repository import RemoteRepository
from tagger.registry.site import Trust
from tagger.releasing.order import Target
from tagger.repository.observe import Listed

ONE, TWO = (Manifest.of(DOCKER_MANIFEST, manifest(content)) for content in (b"one", b"two"))
V1, V2, LATEST = Tag("1.0.0"), Tag("2.1.106"), Tag("latest")


class Kept(Target, Listed, Protocol):
    """A repository, with everything that the steps of every command ask of it."""


def in_model(_: pytest.FixtureRequest, __: str) -> Iterator[Kept]:
    """Keep it in memory."""
    yield ModelRepository()


def in_double(_: pytest.FixtureRequest, path: str) -> Iterator[Kept]:
    """Keep it in a registry in this process."""
    with ModelRegistry() as registry, opened(registry.host, path) as repository:
        yield repository


def in_registry(request: pytest.FixtureRequest, path: str) -> Iterator[Kept]:
    """Keep it in a real registry, which wants the blobs before a manifest."""
    real = request.getfixturevalue("registry")
    assert isinstance(real, RealRegistry)
    for content in (b"one", b"two"):
        for blob in (content, b"config of " + content):
            upload(real.host, path, blob)
    with opened(real.host, path) as repository:
        yield repository


@contextlib.contextmanager
def opened(host: str, path: str) -> Iterator[RemoteRepository]:
    """Open a repository over plain HTTP."""
    connection = Connection(Registry(host), lambda: None, Trust(insecure=True))
    try:
        yield RemoteRepository(Repository.at(Registry(host), path), connection)
    finally:
        connection.close()


@pytest.fixture(
    params=[
        pytest.param(in_model, id="model"),
        pytest.param(in_double, id="double"),
        pytest.param(in_registry, id="real", marks=pytest.mark.engine),
    ]
)
def kept(request: pytest.FixtureRequest, repository: str) -> Iterator[Kept]:
    """A repository that holds nothing."""
    where: Callable[[pytest.FixtureRequest, str], Iterator[Kept]] = request.param
    yield from where(request, repository)


def test_nothing_is_there_before_the_first_tag(kept: Kept) -> None:
    assert [*kept.tags()] == []
    assert (kept.digest(V1), kept.manifest(V1), kept.descriptor(V1)) == (None, None, None)
    assert (kept.digest(ONE.digest), kept.manifest(ONE.digest)) == (None, None)


def test_a_manifest_that_was_put_is_found_by_tag_and_by_digest(kept: Kept) -> None:
    kept.put(V1, ONE)
    assert ([*kept.tags()], [*(kept.listed() or ())]) == ([V1], [V1])
    for reference in (V1, ONE.digest):
        assert kept.digest(reference) == ONE.digest
        assert kept.manifest(reference) == ONE
        assert kept.descriptor(reference) == Descriptor(DOCKER_MANIFEST, ONE.digest)
    assert not kept.is_index(ONE.digest)
    assert not kept.is_half_removed(V1)


def test_moving_a_tag_keeps_its_old_image(kept: Kept) -> None:
    for tag in (V1, LATEST):
        kept.put(tag, ONE)
    kept.put(LATEST, TWO)
    assert (kept.digest(V1), kept.digest(LATEST)) == (ONE.digest, TWO.digest)
    kept.put(V1, TWO)
    assert (kept.digest(V1), kept.manifest(ONE.digest)) == (TWO.digest, ONE)
    assert sorted(kept.tags()) == [V1, LATEST]


def test_tags_put_together_hold_the_image_if_the_answer_names_them(kept: Kept) -> None:
    kept.put(V1, ONE)
    taken = set(kept.put_together([V2, LATEST], ONE))
    assert taken <= {V2, LATEST}
    assert {tag for tag in (V2, LATEST) if kept.digest(tag)} == taken
    assert {*kept.tags()} == {V1, *taken}


def test_removing_a_tag_keeps_its_image_for_the_other_tags(kept: Kept) -> None:
    for tag in (V1, LATEST):
        kept.put(tag, ONE)
    kept.put(V2, TWO)
    kept.check_removal()
    kept.remove(LATEST)
    assert sorted(kept.tags()) == [V1, V2]
    assert (kept.digest(LATEST), kept.digest(V1), kept.manifest(ONE.digest)) == (None, ONE.digest, ONE)
    kept.remove(V1)
    assert (kept.digest(V1), [*kept.tags()]) == (None, [V2])


def test_the_last_tag_can_be_removed_and_put_again(kept: Kept) -> None:
    kept.put(V1, ONE)
    kept.remove(V1)
    assert ([*kept.tags()], kept.digest(V1)) == ([], None)
    kept.put(V1, ONE)
    assert ([*kept.tags()], kept.digest(V1)) == ([V1], ONE.digest)


def test_removing_an_absent_tag_succeeds(kept: Kept) -> None:
    kept.put(V1, ONE)
    kept.remove(LATEST)
    assert ([*kept.tags()], kept.digest(V1)) == ([V1], ONE.digest)


def test_an_index_is_distinguished_from_an_image(kept: Kept) -> None:
    kept.put(V1, ONE)
    kept.put(V2, TWO)
    both = Manifest.of(OCI_INDEX, index({"linux/amd64": ONE.body, "linux/arm64": TWO.body}))
    kept.put(LATEST, both)
    assert (kept.manifest(LATEST), kept.is_index(both.digest)) == (both, True)
    assert kept.descriptor(LATEST) == Descriptor(OCI_INDEX, both.digest)


def test_checking_the_right_to_push_succeeds_and_changes_nothing(kept: Kept) -> None:
    kept.put(V1, ONE)
    kept.check_push()
    assert [*kept.tags()] == [V1]
