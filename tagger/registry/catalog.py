"""The list of a registry's repositories, page by page (distribution, "Listing Repositories")."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from http import HTTPStatus

from tagger.errors import BadAnswer, InvalidReference, Refused
from tagger.names import Registry, Repository
from tagger.registry.connection import Connection
from tagger.registry.tag_list import following, is_about_size

_PATH, _SCOPE = "/v2/_catalog", "registry:catalog:*"
_FIRST = f"{_PATH}?n=1000"
_PAGE_BYTES = 32 * 1024 * 1024
_MOST_PAGES = 100_000
_NOT_SERVED = frozenset({401, 403, 404, 405, 501})


def catalog(connection: Connection) -> Iterator[Repository]:
    """Yield every repository in the registry's list, page by page, without invalid names.

    Raises Refused if the registry does not serve the list, BadAnswer for an incomplete list, and RegistryUnreachable.
    """
    registry = connection.registry
    url: str | None = _FIRST
    visited: set[str] = set()
    while url is not None:
        if url in visited or len(visited) > _MOST_PAGES:
            raise BadAnswer(f"{registry} sends an endless list of repositories", "ask its administrator")
        visited.add(url)
        answer = connection.request("GET", url, scope=_SCOPE, limit=_PAGE_BYTES)
        if is_about_size(answer) and url == _FIRST:
            url = _PATH  # some registries allow only smaller pages, and answer 400
            continue
        names = answer.content().get("repositories", ())
        if answer.status in _NOT_SERVED or (answer.status == HTTPStatus.OK and names == ()):
            raise Refused(
                f"{registry} does not list its repositories for you ({answer.complaint()})",
                "few hosted registries do: give the names from its own listing, with --from FILE or on stdin",
            )
        if answer.status != HTTPStatus.OK:
            raise BadAnswer(f"{registry} failed to list its repositories ({answer.complaint()})", "try again later")
        if not isinstance(names, list | None):
            raise BadAnswer(f"{registry} lists its repositories in an unknown form", "ask its administrator")
        texts = [name for name in names or () if isinstance(name, str)]
        yield from _valid(registry, texts)
        url = following(answer, _PATH)


def _valid(registry: Registry, texts: list[str]) -> Iterator[Repository]:
    for text in texts:
        with contextlib.suppress(InvalidReference):
            yield Repository.at(registry, text)
