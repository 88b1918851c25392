"""The container registry of GitLab.com."""

from __future__ import annotations

import re
from dataclasses import replace

from doubles import Request, Response, refusal
from services import Registry

from hosts import Difference, Imitation, manifest_of


class GitLab(Imitation):
    """A registry that deletes single tags, and takes `sha256-HEX` for the image of that digest."""

    name = "GitLab"
    differences = (
        Difference("It deletes single tags.", "its documentation"),
        Difference("It answers 403 to a write or a delete of a protected tag.", "its documentation"),
        Difference("To the tag `sha256-HEX` it answers with the image of that digest.", "reports"),
    )

    def __init__(self, real: Registry) -> None:
        super().__init__(real)
        self.protected: set[str] = set()
        """Tags that these credentials may not write or delete."""

    def differs(self, request: Request) -> Response | None:
        """Answer what GitLab answers in its own way."""
        name, reference = manifest_of(request)
        if reference in self.protected and request.method in ("PUT", "DELETE"):
            return refusal(403, "DENIED", "tag is protected")  # GitLab documentation, "Protected container tags"
        if reference and request.method == "DELETE" and ":" not in reference:
            return self.untag(name, reference)
        if request.method in ("GET", "HEAD") and re.fullmatch("sha256-[0-9a-f]{64}", reference):
            return self._by_its_digest(name, reference, request)
        return None

    def _by_its_digest(self, name: str, reference: str, request: Request) -> Response | None:
        """Answer with the image whose digest a tag spells, where there is no such tag (reported)."""
        digest = reference.replace("-", ":")
        if self.held(name, reference) or digest not in self.manifests(name):
            return None
        return self.pass_on(replace(request, path=f"/v2/{name}/manifests/{digest}"))
