"""Google Artifact Registry, and the Container Registry before it."""

from __future__ import annotations

import json
from dataclasses import replace

from doubles import Request, Response, as_json, refusal

from hosts import Difference, Imitation, list_of, manifest_of, upload_to


class ArtifactRegistry(Imitation):
    """A registry that deletes tags, and a manifest only once it has none."""

    name = "Artifact Registry"
    differences = (
        Difference("It gives all tags in one answer, with every manifest beside them.", "its documentation"),
        Difference("It deletes tags. A digest that has a tag stays: 400 GOOGLE_MANIFEST_DANGLING_TAG.", "reports"),
        Difference("The repository must exist before the first push.", "its documentation"),
        Difference("It redirects a question for referrers to a login page.", "reports"),
    )

    def differs(self, request: Request) -> Response | None:
        """Answer what Google answers in its own way."""
        name, reference = manifest_of(request)
        if listed := list_of(request):
            return self._with_manifests(listed, request)
        if "/referrers/" in request.path:
            return Response(307, headers={"Location": "https://127.0.0.1:1/ServiceLogin"})
        if reference and request.method == "DELETE":
            return self._deleted(name, reference)
        if (wanted := upload_to(request)) and not self.exists(wanted):
            # Google's documentation, "Create standard repositories".
            return refusal(404, "NAME_UNKNOWN", f'Repository "{wanted}" not found')
        return None

    def _deleted(self, name: str, reference: str) -> Response | None:
        if ":" not in reference:
            return self.untag(name, reference)
        if tags := self.tags_on(name, reference):
            said = f"Manifest is still referenced by tag: {tags[0]}"  # reported by several clients of it
            return refusal(400, "GOOGLE_MANIFEST_DANGLING_TAG", said)
        return None

    def _with_manifests(self, name: str, request: Request) -> Response:
        """List everything in one answer, every manifest beside the tags (Google's documentation, "List tags")."""
        page = self.pass_on(replace(request, query={}))
        if page.status != 200:
            return page
        manifests = {
            digest: {
                "mediaType": json.loads(body)["mediaType"],
                "tag": self.tags_on(name, digest),
                "timeCreatedMs": "0",
            }
            for digest, body in self.manifests(name).items()
        }
        assert isinstance(page.body, bytes)
        return as_json(200, {"child": [], "manifest": manifests, **json.loads(page.body)})
