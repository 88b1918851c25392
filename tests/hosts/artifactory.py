"""JFrog Artifactory, reached by the repository-path method."""

from __future__ import annotations

from urllib.parse import urlencode

from doubles import Request, Response, as_json, refusal

from hosts import Difference, Imitation, manifest_of


class Artifactory(Imitation):
    """A registry whose links leave out the first part of the path, and whose reasons are in the detail."""

    name = "Artifactory"
    differences = (
        Difference("The link to the next page of tags leaves out the first part of the path.", "reports"),
        Difference("It answers 403 to a read of an image that Xray blocks.", "its documentation"),
        Difference("The detail, not the message, says why it refuses to overwrite a tag.", "reports"),
    )

    def __init__(self) -> None:
        super().__init__(deletes="tag", page_size=2)
        self.may_overwrite = True
        """Whether the user has the right to delete, which an overwrite needs."""
        self.blocked: set[str] = set()
        """Digests of images that Xray lets nobody pull."""

    def differs(self, request: Request) -> Response | None:
        """Answer what Artifactory answers in its own way."""
        name, reference = manifest_of(request)
        if request.path.endswith("/tags/list"):
            return self._page(request)
        held = self.repositories.get(name, {}).get(reference, reference)
        if request.method in ("GET", "HEAD") and held in self.blocked:
            # JFrog's documentation, "Xray watches and policies": a download that is blocked is 403.
            return refusal(403, "DENIED", "Artifact download request rejected: it was blocked by Xray")
        if request.method == "PUT" and reference in self.repositories.get(name, {}) and not self.may_overwrite:
            # Reported: the status that counts is in the detail.
            return as_json(
                400,
                {
                    "errors": [
                        {"code": "MANIFEST_INVALID", "message": "manifest invalid", "detail": "HTTP 403 Forbidden"}
                    ]
                },
            )
        return None

    def _page(self, request: Request) -> Response:
        """Give a page whose Link leads to a repository of the last part of the path (reported)."""
        name = request.path.removeprefix("/v2/").removesuffix("/tags/list")
        tags = sorted(self.repositories.get(name, {}))
        if not tags:
            return refusal(404, "NAME_UNKNOWN", "Repository name not known to registry.")
        rest = [tag for tag in tags if tag > request.query.get("last", [""])[0]]
        page = rest[: self.page_size]
        path = (
            f"/v2/{name.partition('/')[2]}/tags/list?{urlencode({'last': page[-1], 'n': self.page_size})}"
            if page
            else ""
        )
        link = {"Link": f'<{path}>; rel="next"'} if len(rest) > len(page) else {}
        return as_json(200, {"name": name, "tags": page}, **link)
