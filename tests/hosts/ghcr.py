"""GitHub's container registry."""

from __future__ import annotations

from doubles import Request, Response, refusal

from hosts import Imitation, manifest_of


class Ghcr(Imitation):
    """GitHub's registry, which deletes nothing by the registry API."""

    name = "GitHub Packages"
    refuses = dict.fromkeys(("rm", "prune"), "or use its own page or tool")
    busy = 0
    """How many of the next requests for a list are asked to come back in a moment."""

    def differs(self, request: Request) -> Response | None:
        """Answer what GitHub answers in its own way."""
        if request.method == "DELETE" and any(manifest_of(request)):
            return refusal(
                405, "UNSUPPORTED", "The operation is unsupported."
            )  # reported; its own API deletes versions
        if request.path.endswith("/tags/list") and self.busy:
            self.busy -= 1
            # Reported: Go's way to write a duration, where HTTP has seconds.
            return refusal(429, "TOOMANYREQUESTS", "retry-after: 880.092µs", Retry_After="880.092\xb5s")
        return None
