"""The container registry of GitHub Enterprise Server, and registries behind proxies that get HEAD wrong."""

from __future__ import annotations

from typing import ClassVar

from doubles import Request, Response, refusal

from hosts import Difference, Imitation, plain


class Ghes(Imitation):
    """A registry that refuses every HEAD of a manifest, with the length of a body that does not come (reported)."""

    name = "GitHub Enterprise Server"
    differences: ClassVar[tuple[Difference, ...]] = (
        Difference("It answers 405 to every HEAD of a manifest.", "reports"),
        Difference("It answers 405 to every DELETE.", "reports"),
    )
    refuses = dict.fromkeys(("rm", "prune"), "or use its own page or tool")

    def differs(self, request: Request) -> Response | None:
        """Answer what GitHub answers in its own way."""
        if request.method == "HEAD" and "/manifests/" in request.path:
            return self._head()
        if request.method == "DELETE" and "/manifests/" in request.path:
            return refusal(405, "UNSUPPORTED", "The operation is unsupported.")  # reported of GitHub's registries
        return None

    def _head(self) -> Response:
        return plain(405, "Method Not Allowed\n")


class DeniesEveryHead(Ghes):
    """A registry that answers every HEAD of a manifest by 404, though GET finds it (reported of proxies)."""

    name = "a registry whose HEAD is always 404"
    differences = (
        Difference("It answers 404 to every HEAD of a manifest, and serves it by GET.", "reports"),
        Difference("It answers 405 to every DELETE.", "reports"),
    )

    def _head(self) -> Response:
        return plain(404, "404 page not found\n")
