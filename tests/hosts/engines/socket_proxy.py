"""A proxy in front of the Engine's socket that lets only some requests pass, such as docker-socket-proxy."""

from __future__ import annotations

import re

from doubles import Request, Response

from hosts import Difference
from hosts.engines import OverTcp

_PAGE = b"<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n</body></html>\n"


class SocketProxy(OverTcp):
    """A HAProxy whose rules allow images and writes, as docker-socket-proxy does with IMAGES=1 and POST=1."""

    name = "Docker Engine behind a socket proxy"
    differences = (
        Difference("It answers 403 in HTML to requests that it blocks, `/info` for example.", "its documentation"),
    )

    def differs(self, request: Request) -> Response | None:
        """Let pass what its rules name (its README, "Grant or revoke access to certain API sections")."""
        if re.match(r"(?:/v[0-9.]+)?/(?:_ping|events|images|version)\b", request.path):
            return None
        return Response(403, _PAGE, {"Content-Type": "text/html", "Cache-Control": "no-cache"})
