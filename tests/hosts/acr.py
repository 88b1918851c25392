"""Azure Container Registry."""

from __future__ import annotations

from doubles import Request, Response, refusal
from services import Registry

from hosts import Difference, Imitation, manifest_of


class Acr(Imitation):
    """A registry that deletes by digest alone, and whose tags and repositories can be locked."""

    name = "Azure Container Registry"
    differences = (
        Difference("It answers 405 to a DELETE of a tag, and deletes by digest.", "reports"),
        Difference("It answers 405 to a write or a delete of what is locked.", "its documentation"),
    )

    def __init__(self, real: Registry) -> None:
        super().__init__(real)
        self.locked: set[str] = set()
        """Locked tags, which cannot be written or deleted."""

    def differs(self, request: Request) -> Response | None:
        """Answer what Azure answers in its own way."""
        name, reference = manifest_of(request)
        if not reference or request.method not in ("PUT", "DELETE"):
            return None
        if self._is_locked(name, reference):
            # Azure documentation, "Lock a container image"; the code is reported of its locks.
            said = "The operation is disallowed on this registry, repository or image."
            return refusal(405, "REGISTRY_DISALLOWED_OPERATION", said)
        if request.method == "DELETE" and ":" not in reference:
            return refusal(405, "UNSUPPORTED", "The operation is unsupported.")  # reported: by digest it works
        return None

    def _is_locked(self, name: str, reference: str) -> bool:
        return reference in self.locked or reference in {self.held(name, tag) for tag in self.locked}
