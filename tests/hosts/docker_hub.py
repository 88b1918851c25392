"""Docker Hub."""

from __future__ import annotations

import re

from doubles import Request, Response, refusal

from hosts import Difference, Imitation, manifest_of


class DockerHub(Imitation):
    """Docker Hub with tags that may be immutable, and with a limit of pulls."""

    name = "Docker Hub"
    refuses = dict.fromkeys(("rm", "prune"), "ask for the right to delete, or use its own page or tool")
    denies_late = True
    differences = (
        Difference("It refuses to delete a tag, and a digest that has one.", "reports"),
        Difference("It answers 403 to a second write of an immutable tag.", "its documentation"),
        Difference(
            "Over the pull limit, it answers 429 to GET, without Retry-After. HEAD is free.", "its documentation"
        ),
    )
    immutable = ""
    """A regular expression for immutable tags."""
    pulls_left: int | None = None
    """How many manifests may be fetched by GET before the limit; None for no limit."""

    def differs(self, request: Request) -> Response | None:
        """Answer what Docker Hub answers in its own way."""
        name, reference = manifest_of(request)
        if not reference:
            return None
        if request.method == "DELETE":
            return self._deleted(name, reference)
        if request.method == "GET" and self.pulls_left is not None:
            return self._pulled()
        again = request.method == "PUT" and self.held(name, reference)
        if again and self.immutable and re.fullmatch(self.immutable, reference):
            # Docker documentation, "Immutable tags on Docker Hub"; the answer is reported.
            said = (
                "requested access to the resource is denied. This tag is already assigned to an image in this"
                " repository and cannot be updated due to immutability settings. Please push with a different tag."
            )
            return refusal(403, "DENIED", said)
        return None

    def _deleted(self, name: str, reference: str) -> Response | None:
        """Delete by digest alone, and only what has no tag (reported of accounts of every kind)."""
        if ":" not in reference:
            return refusal(405, "UNSUPPORTED", "The operation is unsupported.")
        if self.tags_on(name, reference):
            return refusal(403, "DENIED", "requested access to the resource is denied")
        return None

    def _pulled(self) -> Response | None:
        """Count a pull; a HEAD is none (Docker documentation, "Docker Hub pull usage and limits")."""
        assert self.pulls_left is not None
        self.pulls_left -= 1
        if self.pulls_left >= 0:
            return None
        return refusal(429, "TOOMANYREQUESTS", "You have reached your pull rate limit.")
