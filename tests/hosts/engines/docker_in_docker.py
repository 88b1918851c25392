"""Docker in Docker on port 2375, as CI jobs have it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from hosts import Difference
from hosts.engines import OverTcp


class DockerInDocker(OverTcp):
    """An Engine without TLS beside a DOCKER_CERT_PATH, which the image of Docker's command sets anyway."""

    name = "Docker in Docker without TLS"
    environment: ClassVar[Mapping[str, str]] = {"DOCKER_CERT_PATH": "/certs/client", "DOCKER_TLS_VERIFY": ""}
    differences = (
        Difference("DOCKER_CERT_PATH is set and DOCKER_TLS_VERIFY is empty, which means no TLS.", "its documentation"),
    )
