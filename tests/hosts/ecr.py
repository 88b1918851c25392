"""Amazon Elastic Container Registry."""

from __future__ import annotations

import json
import re

from doubles import Request, Response, refusal
from services import Registry

from hosts import Difference, Imitation, list_of, manifest_of, plain, upload_to


class Ecr(Imitation):
    """ECR with tags that may be immutable, and lists of two tags a page."""

    name = "Amazon ECR"
    refuses = dict.fromkeys(("rm", "prune"), "does not delete through the registry API, .*: use its own page or tool")
    differences = (
        Difference("It answers 404 in plain text to every DELETE.", "reports"),
        Difference("The repository must exist before the first push.", "its documentation"),
        Difference("It answers 400 TAG_INVALID to a second write of an immutable tag.", "its documentation"),
        Difference(
            "Its lists are text/plain, and their links use its own cursor. It answers 405 to any other.", "reports"
        ),
    )
    immutable = ""
    """A regular expression for tags that the repository does not let anyone overwrite: all, or those of a rule."""

    def __init__(self, real: Registry, page_size: int = 2) -> None:
        super().__init__(real)
        self._page_size = page_size

    def differs(self, request: Request) -> Response | None:
        """Answer what ECR answers in its own way."""
        name, reference = manifest_of(request)
        if reference and request.method == "DELETE":
            return plain(404, "404 page not found\n")  # users report that ECR's HTTP API has no such route
        if reference and request.method == "PUT":
            return self._immutable(name, reference)
        return self._missing(request) or self._paged(request)

    def _missing(self, request: Request) -> Response | None:
        """Refuse a push that would create a repository (AWS documentation, "Pushing an image")."""
        name = upload_to(request)
        if name and not self.exists(name):
            said = f"The repository with name '{name}' does not exist in the registry with id '012345678901'"
            return refusal(404, "NAME_UNKNOWN", said)
        return None

    def _immutable(self, name: str, tag: str) -> Response | None:
        """Refuse to put an immutable tag twice (AWS documentation, "Image tag mutability"; the answer is reported)."""
        if not self.immutable or not re.fullmatch(self.immutable, tag) or not self.held(name, tag):
            return None
        said = (
            f"The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten because the"
            " repository is immutable."
        )
        return refusal(400, "TAG_INVALID", said)

    def _paged(self, request: Request) -> Response | None:
        """Lists as text/plain, with an absolute Link of an opaque cursor and without `n` (reported)."""
        name = list_of(request)
        if not self.exists(name):
            return None
        tags, cursor = sorted(self.tags(name)), request.query.get("last", ["cursor-0"])[0]
        if not re.fullmatch(r"cursor-[0-9]+", cursor):
            return refusal(405, "UNSUPPORTED", "Invalid parameter at 'nextToken' failed to satisfy constraint")
        start = int(cursor.rpartition("-")[2])
        end = start + self._page_size
        link = {"Link": f'<{self.url}{request.path}?last=cursor-{end}>; rel="next"'} if end < len(tags) else {}
        return plain(200, json.dumps({"name": name, "tags": tags[start:end]}), **link)
