"""Quay, as of 3.6."""

from __future__ import annotations

import json

from doubles import Bearer, Request, Response, refusal
from services import Registry

from hosts import PASSWORD, USER, Difference, Imitation, manifest_of

_RIGHTS = {"pull", "push", "*"}


class Tokens(Bearer):
    """Tokens with which every user who may push may also delete (its source, `decorators` of its registry API)."""

    def error(self, request: Request, repository: str, actions: set[str]) -> str | None:
        """What is wrong with the token of a request."""
        return super().error(request, repository, {"push"} if "delete" in actions else actions)


class Quay(Imitation):
    """A registry that deletes by digest alone, and takes no index without manifests."""

    name = "Quay"
    differences = (
        Difference("It deletes by digest, and answers 405 to a DELETE of a tag.", "its source"),
        Difference("It refuses an index without manifests.", "its source"),
        Difference("It issues no token for deleting (400). A token for pushing is enough.", "its source"),
        Difference("Issuing a token for pushing creates the repository.", "its source"),
    )

    def __init__(self, real: Registry) -> None:
        super().__init__(real, Tokens(USER, PASSWORD, frozenset({"pull", "push"})))

    def answer(self, request: Request) -> Response:
        """Issue a token in Quay's way, which creates a repository that is to be pushed to; else answer as usual."""
        for scope in request.query.get("scope", []) if request.path == "/token" else []:
            _, name, rights = scope.split(":")
            if not _RIGHTS.issuperset(rights.split(",")):
                return refusal(400, "INVALID_REQUEST", "Unable to decode repository and actions: " + scope)
            if rights != "pull":
                self.create(name)
        return super().answer(request)

    def differs(self, request: Request) -> Response | None:
        """Answer what Quay answers in its own way."""
        _, reference = manifest_of(request)
        if reference and request.method == "PUT" and not json.loads(request.body).get("manifests", True):
            return refusal(400, "MANIFEST_INVALID", "manifest invalid")  # its source: an index has to list something
        if reference and request.method == "DELETE" and ":" not in reference:
            return refusal(405, "UNSUPPORTED", "The operation is unsupported.")  # its source, before deletes by tag
        return None
