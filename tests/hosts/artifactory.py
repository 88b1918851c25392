"""JFrog Artifactory, reached by the repository-path method."""

from __future__ import annotations

from urllib.parse import urlencode

from doubles import Request, Response, as_json, refusal
from services import Registry

from hosts import Difference, Imitation, list_of, manifest_of

_PAGE = 2


class Artifactory(Imitation):
    """A registry whose links leave out the first part of the path, and whose reasons are in the detail."""

    name = "Artifactory"
    differences = (
        Difference("The link to the next page of tags leaves out the first part of the path.", "reports"),
        Difference("It answers 403 to a read of an image that Xray blocks.", "its documentation"),
        Difference("The detail, not the message, says why it refuses to overwrite a tag.", "reports"),
    )

    def __init__(self, real: Registry) -> None:
        super().__init__(real)
        self.may_overwrite = True
        """Whether the user has the right to delete, which an overwrite needs."""
        self.blocked: set[str] = set()
        """Digests of images that Xray blocks."""

    def differs(self, request: Request) -> Response | None:
        """Answer what Artifactory answers in its own way."""
        name, reference = manifest_of(request)
        if listed := list_of(request):
            return self._page(listed, request)
        if not reference:
            return None
        if request.method in ("GET", "HEAD") and self.held(name, reference) in self.blocked:
            # JFrog's documentation, "Xray watches and policies": a download that is blocked is 403.
            return refusal(403, "DENIED", "Artifact download request rejected: it was blocked by Xray")
        if request.method == "DELETE" and ":" not in reference:
            return self.untag(name, reference)
        if request.method == "PUT" and self.held(name, reference) and not self.may_overwrite:
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

    def _page(self, name: str, request: Request) -> Response:
        """A page of two tags whose Link leads to a repository of the last part of the path (reported)."""
        tags = sorted(self.tags(name))
        if not tags:
            return refusal(404, "NAME_UNKNOWN", "Repository name not known to registry.")
        rest = [tag for tag in tags if tag > request.query.get("last", [""])[0]]
        page = rest[:_PAGE]
        link = {}
        if len(rest) > len(page):
            query = urlencode({"last": page[-1], "n": _PAGE})
            link = {"Link": f'</v2/{name.partition("/")[2]}/tags/list?{query}>; rel="next"'}
        return as_json(200, {"name": name, "tags": page}, **link)
