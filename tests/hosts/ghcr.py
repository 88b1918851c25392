"""GitHub's container registry."""

from __future__ import annotations

from doubles import Bearer, Request, Response, refusal
from services import Registry

from hosts import PASSWORD, USER, Difference, Imitation, list_of, manifest_of


class Ghcr(Imitation):
    """GitHub's registry with a private package, which does not delete through the registry API."""

    name = "GitHub Packages"
    refuses = dict.fromkeys(("rm", "prune"), "or use its own page or tool")
    differences = (
        Difference(
            "Without a login, it answers 404 for private repositories. Only `/v2/` asks for a login.", "reports"
        ),
        Difference("It answers 405 to every DELETE.", "reports"),
        Difference("It redirects a question for referrers to another host.", "reports"),
        Difference("Its Retry-After may be a duration of Go, such as 880.092µs.", "reports"),
    )
    busy = 0
    """How many of the next requests for a list are asked to come back in a moment."""

    def __init__(self, real: Registry) -> None:
        super().__init__(real, Bearer(USER, PASSWORD))

    def differs(self, request: Request) -> Response | None:
        """Answer what GitHub answers in its own way."""
        if request.method == "DELETE" and any(manifest_of(request)):
            return refusal(
                405, "UNSUPPORTED", "The operation is unsupported."
            )  # reported; its own API deletes versions
        if "/referrers/" in request.path:
            return Response(303, headers={"Location": f"https://127.0.0.1:1{request.path}"})  # reported
        if list_of(request) and self.busy:
            self.busy -= 1
            # Reported: Go's way to write a duration, where HTTP has seconds.
            return refusal(429, "TOOMANYREQUESTS", "retry-after: 880.092µs", Retry_After="880.092\xb5s")
        return None

    def _challenge(self, request: Request) -> Response | None:
        asked = super()._challenge(request)
        stranger = "Authorization" not in request.headers and request.method in ("GET", "HEAD")
        if asked and stranger and request.path != "/v2/":
            return refusal(404, "NAME_UNKNOWN", "repository name not known to registry")
        return asked
