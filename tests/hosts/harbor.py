"""Harbor."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from doubles import OCI_INDEX, Request, Response, as_json, digest_of, refusal
from services import Registry

from hosts import Difference, Imitation, manifest_of


class Harbor(Imitation):
    """A registry that deletes by digest, with immutability, quotas and a policy about vulnerable images."""

    name = "Harbor"
    referrers = True
    differences = (
        Difference("It deletes by digest, and answers 405 to a DELETE of a tag.", "its source"),
        Difference("It answers 412 to a write or a delete of an immutable tag.", "its source"),
        Difference("It answers 403 to a write that goes beyond the project's quota.", "its source"),
        Difference(
            "It answers 412 to a read of an image that a policy blocks, or that is not scanned yet.", "its source"
        ),
        Difference("Up to 2.10, it serves lists of referrers as application/json.", "reports"),
    )

    def __init__(self, real: Registry) -> None:
        super().__init__(real)
        self.immutable = ""
        """A regular expression for tags that cannot be overwritten or deleted."""
        self.full = False
        """Whether the project's quota is used up."""
        self.vulnerable: set[str] = set()
        """Digests of images that cannot be pulled."""
        self.reads_before_scanned = 0
        """How many reads of a pushed image are refused, because its scan is not done."""
        self._unscanned: dict[str, int] = {}

    def differs(self, request: Request) -> Response | None:
        """Answer what Harbor answers in its own way."""
        name, reference = manifest_of(request)
        if "/referrers/" in request.path:
            return self._referring(*request.path.removeprefix("/v2/").split("/referrers/"))
        if not reference:
            return None
        if request.method in ("GET", "HEAD"):
            return self._policy(name, reference)
        return self._written(request, name, reference)

    def _referring(self, name: str, digest: str) -> Response:
        """List what refers to a manifest, of which the real registry keeps no list."""
        listed = []
        for own, body in self.manifests(name).items():
            content = json.loads(body)
            if content.get("subject", {}).get("digest") == digest:
                listed.append({"mediaType": content["mediaType"], "digest": own, "size": len(body)})
        return as_json(200, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed})

    def _written(self, request: Request, name: str, reference: str) -> Response | None:
        if request.method == "DELETE" and ":" not in reference:
            return refusal(405, "UNSUPPORTED", f"unsupported digest {reference}")  # its source, deleteManifest
        if found := self._immutable(name, reference, request.method):
            # Its source, the middleware "immutable".
            return refusal(412, "PRECONDITION", f"Failed to process request due to '{found}' configured as immutable.")
        if self.full and request.method == "PUT":  # its source, the middleware "quota"
            said = (
                "adding 29.0 MiB of storage resource, which when updated to current usage of 152.4 MiB will exceed the"
                " configured upper limit of 10.0 MiB."
            )
            return refusal(403, "DENIED", said)
        if request.method != "PUT":
            return None
        self._unscanned.setdefault(digest_of(request.body), self.reads_before_scanned)
        answer, subject = self.pass_on(request), json.loads(request.body).get("subject")
        return replace(answer, headers={**answer.headers, "OCI-Subject": subject["digest"]}) if subject else answer

    def _policy(self, name: str, reference: str) -> Response | None:
        """Serve no image that has too many vulnerabilities, or no scan (its source, the middleware "vulnerable")."""
        digest = self.held(name, reference)
        if self._unscanned.get(digest, 0) > 0:
            self._unscanned[digest] -= 1
            said = "vulnerability scan of the current image is pending, so that it cannot be pulled due to policy"
            return refusal(412, "PROJECTPOLICYVIOLATION", said)
        if digest not in self.vulnerable:
            return None
        said = "current image with 7 vulnerabilities cannot be pulled due to configured policy"
        return refusal(412, "PROJECTPOLICYVIOLATION", said)

    def _immutable(self, name: str, reference: str, method: str) -> str | None:
        """The immutable tag that a request would write or delete; a digest goes with all of its tags."""
        tags = self.tags(name)
        touched = [tag for tag, held in tags.items() if tag == reference or (method == "DELETE" and held == reference)]
        matching = [tag for tag in touched if self.immutable and re.fullmatch(self.immutable, tag)]
        return f"{name}:{matching[0]}" if matching else None
