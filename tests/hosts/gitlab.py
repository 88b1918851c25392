"""The container registry of GitLab.com."""

from __future__ import annotations

from doubles import Request, Response, refusal

from hosts import Imitation, manifest_of


class GitLab(Imitation):
    """A registry that deletes single tags, and takes `sha256-HEX` for the image of that digest."""

    name = "GitLab"

    def __init__(self) -> None:
        super().__init__(deletes="tag")
        self.protected: set[str] = set()
        """Tags that these credentials may not write or delete."""

    def differs(self, request: Request) -> Response | None:
        """Answer what GitLab answers in its own way."""
        _, reference = manifest_of(request)
        if reference in self.protected and request.method in ("PUT", "DELETE"):
            return refusal(403, "DENIED", "tag is protected")  # GitLab documentation, "Protected container tags"
        return None
