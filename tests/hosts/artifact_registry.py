"""Google Artifact Registry, and the Container Registry before it."""

from __future__ import annotations

import json
from dataclasses import replace

from doubles import Request, Response, refusal

from hosts import Difference, Imitation, manifest_of


class ArtifactRegistry(Imitation):
    """A registry that deletes tags, and a manifest only once it has none."""

    name = "Artifact Registry"
    differences = (
        Difference("It gives all tags in one answer, with every manifest beside them.", "its documentation"),
        Difference("It deletes tags. A digest that has a tag stays: 400 GOOGLE_MANIFEST_DANGLING_TAG.", "reports"),
        Difference("The repository has to exist before the first push.", "its documentation"),
        Difference("It redirects a question for referrers to a login page.", "reports"),
    )

    def __init__(self) -> None:
        super().__init__(deletes="tag")

    def differs(self, request: Request) -> Response | None:
        """Answer what Google answers in its own way."""
        name, reference = manifest_of(request)
        if request.path.endswith("/tags/list"):
            return self._with_manifests(request)
        if "/referrers/" in request.path:
            return Response(307, headers={"Location": "https://127.0.0.1:1/ServiceLogin"})
        if request.method == "DELETE" and (tags := self._tags_on(name, reference)):
            said = f"Manifest is still referenced by tag: {tags[0]}"  # reported by several clients of it
            return refusal(400, "GOOGLE_MANIFEST_DANGLING_TAG", said)
        if request.method == "POST" and "/blobs/uploads" in request.path:
            name = request.path.removeprefix("/v2/").partition("/blobs/")[0]
            if name not in self.repositories:  # Google's documentation, "Create standard repositories"
                return refusal(404, "NAME_UNKNOWN", f'Repository "{name}" not found')
        return None

    def _tags_on(self, name: str, digest: str) -> list[str]:
        return [tag for tag, held in self.repositories.get(name, {}).items() if held == digest]

    def _with_manifests(self, request: Request) -> Response:
        """List everything in one answer, every manifest beside the tags (Google's documentation, "List tags")."""
        name = request.path.removeprefix("/v2/").removesuffix("/tags/list")
        page = self._list(name, {})
        if page.status != 200:
            return page
        manifests = {
            digest: {"mediaType": kind, "tag": self._tags_on(name, digest), "timeCreatedMs": "0"}
            for (held_by, digest), (kind, _) in self.manifests.items()
            if held_by == name
        }
        assert isinstance(page.body, bytes)
        return replace(page, body=json.dumps({"child": [], "manifest": manifests, **json.loads(page.body)}).encode())
