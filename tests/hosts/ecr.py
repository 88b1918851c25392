"""Amazon Elastic Container Registry."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from doubles import Request, Response, refusal

from hosts import Difference, Imitation, plain

_TAG = re.compile(r"/v2/(?P<name>.+)/manifests/(?P<tag>[^:]+)")
_UPLOADS = re.compile(r"/v2/(?P<name>.+)/blobs/uploads/")


class Ecr(Imitation):
    """ECR with tags that may be immutable, and lists of two tags a page."""

    name = "Amazon ECR"
    refuses = dict.fromkeys(("rm", "prune"), "deletes nothing by the registry API, .*: use its own page or tool")
    differences = (
        Difference("It answers 404 in plain text to every DELETE.", "reports"),
        Difference("The repository has to exist before the first push.", "its documentation"),
        Difference("It answers 400 TAG_INVALID to a second write of an immutable tag.", "its documentation"),
        Difference(
            "Its lists are text/plain, and the link has a cursor of its own. Another cursor gets 405.", "reports"
        ),
    )
    immutable = ""
    """A regular expression: the tags that the repository lets nobody write twice, all of them or those of a rule."""

    def __init__(self, page_size: int = 2) -> None:
        super().__init__(page_size=page_size)

    def differs(self, request: Request) -> Response | None:
        """Answer what ECR answers in its own way."""
        if request.method == "DELETE" and "/manifests/" in request.path:
            return plain(404, "404 page not found\n")  # reported of ECR: its HTTP API has no such route
        return self._missing(request) or self._immutable(request) or self._paged(request)

    def _missing(self, request: Request) -> Response | None:
        """Refuse a push that would create a repository (AWS documentation, "Pushing an image")."""
        uploads = _UPLOADS.match(request.path)
        if uploads and uploads["name"] not in self.repositories:
            said = f"The repository with name '{uploads['name']}' does not exist in the registry with id '012345678901'"
            return refusal(404, "NAME_UNKNOWN", said)
        return None

    def _immutable(self, request: Request) -> Response | None:
        """Refuse to put an immutable tag twice (AWS documentation, "Image tag mutability"; the answer is reported)."""
        put = _TAG.fullmatch(request.path) if request.method == "PUT" else None
        if put and self.immutable and re.fullmatch(self.immutable, put["tag"]) and self._has(put["name"], put["tag"]):
            said = (
                f"The image tag '{put['tag']}' already exists in the '{put['name']}' repository and cannot be"
                " overwritten because the repository is immutable."
            )
            return refusal(400, "TAG_INVALID", said)
        return None

    def _has(self, name: str, tag: str) -> bool:
        return tag in self.repositories.get(name, {})

    def _paged(self, request: Request) -> Response | None:
        """Give lists as text/plain, with an absolute Link of an opaque cursor and without `n` (reported)."""
        if not request.path.endswith("/tags/list") or not self.page_size:
            return None
        name = request.path.removeprefix("/v2/").removesuffix("/tags/list")
        tags, cursor = sorted(self.repositories.get(name, {})), request.query.get("last", ["cursor-0"])[0]
        if not re.fullmatch(r"cursor-[0-9]+", cursor):
            return refusal(405, "UNSUPPORTED", "Invalid parameter at 'nextToken' failed to satisfy constraint")
        start = int(cursor.rpartition("-")[2])
        page = self._list(name, {})
        if page.status != 200:
            return page
        following = urlencode({"last": f"cursor-{start + self.page_size}"})
        link = {"Link": f'<{self.url}{request.path}?{following}>; rel="next"'}
        more = start + self.page_size < len(tags)
        body = f'{{"name": "{name}", "tags": {tags[start : start + self.page_size]}}}'.replace("'", '"')
        return Response(200, body.encode(), {"Content-Type": "text/plain; charset=utf-8"} | (link if more else {}))
