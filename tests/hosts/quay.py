"""Quay, as of 3.6."""

from __future__ import annotations

import json

from doubles import Request, Response, refusal

from hosts import Imitation, manifest_of


class Quay(Imitation):
    """A registry that deletes by digest alone, and takes no index without manifests."""

    name = "Quay"

    def __init__(self) -> None:
        super().__init__(deletes="digest")

    def differs(self, request: Request) -> Response | None:
        """Answer what Quay answers in its own way."""
        _, reference = manifest_of(request)
        if reference and request.method == "PUT" and not json.loads(request.body).get("manifests", True):
            return refusal(400, "MANIFEST_INVALID", "manifest invalid")  # its source: an index has to list something
        if reference and request.method == "DELETE" and ":" not in reference:
            return refusal(405, "UNSUPPORTED", "The operation is unsupported.")  # its source, before deletes by tag
        return None
