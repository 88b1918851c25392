"""The list of a repository's tags, page by page (OCI distribution spec, "Listing Tags")."""

from __future__ import annotations

import contextlib
import re
import urllib.parse
from collections.abc import Iterable, Iterator
from http import HTTPStatus

from tagger.errors import (
    BadAnswer,
    Denied,
    InvalidReference,
    RegistryUnreachable,
    TaggerError,
    TooLong,
)
from tagger.names import Digest, Repository, Tag, parse_tag
from tagger.registry.answer import Answer
from tagger.registry.connection import Connection

# Google's registries list every manifest beside the tags, all in one answer.
_PAGE_BYTES = 32 * 1024 * 1024
_PAGE_TAGS = 1000  # Amazon ECR refuses more
_MOST_TAGS = 1_000_000
_MOST_BARREN_PAGES = 10
_LINK = re.compile(r"<([^<>]*)>\s*((?:;[^,]*)?)")
# This violates the RFC, but its meaning is clear, and without it half a list would count as complete.
_BARE_LINK = re.compile(r"([^<>;,\s]+)\s*(;[^,]*)")
# Statuses that have another cause than the size of the page.
_NOT_ABOUT_SIZE = frozenset({401, 403, 404, 408, 429})
# The answer of a registry contains one of these.
_EXPECTED: dict[int, set[str]] = {HTTPStatus.OK: {"name", "tags"}, HTTPStatus.NOT_FOUND: {"errors"}}


class TagList:
    """The tags of one repository, as the registry lists them; it remembers the last list."""

    def __init__(self, name: Repository, connection: Connection, scope: str) -> None:
        self._name = name
        self._connection = connection
        self._scope = scope
        self._path = f"/v2/{name.path}/tags/list"
        self._first = f"{self._path}?n={_PAGE_TAGS}"
        self._named: frozenset[str] | None = None
        self.pages: tuple[int, ...] = ()
        """The number of tags on each page of the last list."""

    def read(self) -> list[Tag] | None:
        """Read every page, and return the tags in the registry's order; None when there is no such repository.

        Raises BadAnswer for an incomplete list, Denied, RegistryUnreachable.
        """
        found: dict[str, None] = {}
        visited: set[str] = set()
        barren = 0
        pages: list[int] = []
        answer = self._first_page()
        if answer.status == HTTPStatus.NOT_FOUND and "errors" in answer.content():
            self._named, self.pages = frozenset(), ()
            return None
        while True:
            page = dict.fromkeys(self._tags(answer))
            barren = 0 if page.keys() - found.keys() else barren + 1
            found |= page
            pages.append(len(page))
            url = following(answer, self._path)
            if url is None:
                self._named, self.pages = frozenset(found), tuple(pages)
                return list(_valid(found))
            if url in visited or barren > _MOST_BARREN_PAGES or len(found) > _MOST_TAGS:
                raise BadAnswer(
                    f"{self._name} sends an endless list of tags, and tagger never decides from half a list",
                    "ask the registry's administrator",
                )
            visited.add(url)
            answer = self._ask(url)

    def named(self, tag: str) -> bool:
        """Return whether the last list named a tag."""
        return tag in (self._named or ())

    def is_empty(self) -> bool:
        """Whether there is a last list, and it named no tag."""
        return self._named == frozenset()

    def is_shown(self) -> bool:
        """Whether the registry shows this list."""
        return bool(self._named) or self._shows_now()

    def names(self, reference: Tag | Digest) -> bool:
        """Return whether the list names a tag, and read it if necessary; for a digest, whether it is shown."""
        if ":" in reference:
            return self.is_shown()
        return self.named(reference) or (self._shows_now() and self.named(reference))

    def _shows_now(self) -> bool:
        try:
            return self.read() is not None
        except TaggerError:
            return False

    def _first_page(self) -> Answer:
        answer = self._ask(self._first)
        if is_about_size(answer) and self._first != self._path:
            self._first = self._path  # some registries allow only smaller pages, and answer 400
            answer = self._ask(self._first)
        return answer

    def _ask(self, url: str) -> Answer:
        try:
            return self._connection.request("GET", url, scope=self._scope, limit=_PAGE_BYTES)
        except TooLong:
            raise BadAnswer(
                f"the tag list of {self._name} has more than {_PAGE_BYTES >> 20} MB in one answer, and"
                f" tagger never decides from half a list",
                "remove old tags, or release with --assume-newest",
            ) from None

    def _tags(self, answer: Answer) -> list[str]:
        if answer.status in _EXPECTED and _EXPECTED[answer.status].isdisjoint(answer.content()):
            raise RegistryUnreachable(
                f"what answers at {self._name.registry} is not a registry", "check the host and the port"
            )
        try:
            answer.check(self._name, "list the tags", HTTPStatus.OK)
        except Denied as error:
            raise Denied(
                f"{error}; registries say the same of a repository that does not exist yet, so create it or push to it"
                " once; if only the list is denied, release with --assume-newest"
            ) from None
        tags = answer.content().get("tags") or []
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise BadAnswer(
                f"{self._name} lists tags that are not strings", "the registry is broken, so ask its administrator"
            )
        return tags


class NoList:
    """The list of a repository that is never read: it cannot confirm a HEAD, so a GET has to."""

    pages = ()

    def read(self) -> list[Tag]:
        """Return no tag."""
        return []

    def named(self, tag: Tag | Digest) -> bool:
        """Return that every HEAD of a tag needs a confirmation."""
        return ":" not in tag

    def names(self, _reference: Tag | Digest) -> bool:
        """Return that no list names anything."""
        return False

    def is_empty(self) -> bool:
        """Return that no list was read."""
        return False

    def is_shown(self) -> bool:
        """Return that no list was read."""
        return False


def is_about_size(answer: Answer) -> bool:
    """Return whether a registry may have refused a list only because of the size of its pages."""
    return 400 <= answer.status < 500 and answer.status not in _NOT_ABOUT_SIZE  # noqa: PLR2004 - HTTP's own


def following(answer: Answer, path: str) -> str | None:
    """Return the URL of a list's next page, from the link `next` (RFC 8288); None after the last page.

    Only the query of the link counts: registries behind a proxy may omit a part of the path, and so name another
    repository.
    """
    link = answer.headers.get("link", "")
    for target, parameters in (_LINK if "<" in link else _BARE_LINK).findall(link):
        if re.search(r";\s*rel\s*=\s*\"?next\"?(?:\s|;|$)", parameters, re.IGNORECASE):
            return urllib.parse.urlsplit(answer.resolve(target))._replace(path=path, fragment="").geturl()
    return None


def _valid(texts: Iterable[str]) -> Iterator[Tag]:
    for text in texts:
        # No registry can serve such a tag, so it does not count.
        with contextlib.suppress(InvalidReference):
            yield parse_tag(text)
