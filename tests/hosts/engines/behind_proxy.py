"""An Engine where requests go through an HTTP proxy, except those that NO_PROXY names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from hosts import Difference
from hosts.engines import OverTcp

_NOBODY = "http://127.0.0.1:1"


class BehindProxy(OverTcp):
    """An Engine and a registry that NO_PROXY names by a network; the proxy does not answer."""

    name = "Docker Engine with NO_PROXY by network"
    environment: ClassVar[Mapping[str, str]] = {
        "HTTP_PROXY": _NOBODY, "HTTPS_PROXY": _NOBODY, "http_proxy": _NOBODY, "https_proxy": _NOBODY,
        "NO_PROXY": "127.0.0.0/8,*.example,::1", "no_proxy": "127.0.0.0/8,*.example,::1",
    }  # fmt: skip
    differences = (Difference("NO_PROXY names networks and wildcards, as Docker allows.", "its documentation"),)
