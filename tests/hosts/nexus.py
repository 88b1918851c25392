"""Sonatype Nexus Repository."""

from __future__ import annotations

import re

from doubles import Request, Response, as_json

from hosts import Difference, Imitation, manifest_of, plain


class Nexus(Imitation):
    """A registry without deletes by this API, where redeployment may be switched off."""

    name = "Nexus"
    refuses = dict.fromkeys(("rm", "prune"), "does not delete through the registry API")
    differences = (
        Difference("It answers 404 in plain text to every DELETE.", "reports"),
        Difference("The detail, not the message, says why it refuses to overwrite a tag.", "its source"),
    )
    written_once = ""
    """A regular expression: the tags that may not be written twice ("Allow redeploy only on 'latest' tag")."""

    def differs(self, request: Request) -> Response | None:
        """Answer what Nexus answers in its own way."""
        name, reference = manifest_of(request)
        if reference and request.method == "DELETE":
            return plain(404, "404 page not found\n")  # reported of its hosted repositories
        again = request.method == "PUT" and self.held(name, reference)
        if again and self.written_once and re.fullmatch(self.written_once, reference):
            # Its source: the reason is in the detail.
            detail = f"Repository does not allow updating assets: {name}"
            return as_json(400, {"errors": [{"code": "MANIFEST_INVALID", "message": "Invalid", "detail": detail}]})
        return None
