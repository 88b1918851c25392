"""Facts about well-known registries that their answers do not show: one table, for hints.

tagger learns what a registry does from its answers, and from its name only where no answer shows it.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from tagger.names import Registry
from tagger.values import dataclass


@dataclass(frozen=True, slots=True)
class Host:
    """The facts about one registry.

    `hosts` are patterns of its API's host names, `token_hosts` the hosts of a token server that is elsewhere.
    `page` is where a person can do what the registry's API cannot: its web page, or its own tool.
    """

    name: str = ""
    hosts: tuple[str, ...] = ()
    token_hosts: frozenset[str] = frozenset()
    page: str = ""


_UNKNOWN = Host()
_KNOWN = (
    Host("Docker Hub", ("registry-1.docker.io",), frozenset({"auth.docker.io"}), "https://hub.docker.com"),
    Host("GitHub Packages", ("ghcr.io",), page="the package's page on GitHub"),
    Host("GitLab", ("registry.gitlab.com",), frozenset({"gitlab.com"}), "Deploy > Container registry in GitLab"),
    Host("Amazon ECR", ("*.dkr.ecr.*.amazonaws.com", "*.dkr.ecr.*.amazonaws.com.cn"), page="aws ecr"),
    Host("Artifact Registry", ("*.pkg.dev", "gcr.io", "*.gcr.io"), page="gcloud artifacts"),
    Host("Azure Container Registry", ("*.azurecr.io",), page="az acr"),
    Host("Quay", ("quay.io",), page="https://quay.io"),
    Host("DigitalOcean", ("registry.digitalocean.com",), frozenset({"api.digitalocean.com"}), "doctl registry"),
    Host(
        "Alibaba Cloud",
        ("registry.aliyuncs.com", "registry.*.aliyuncs.com", "*.cr.aliyuncs.com"),
        frozenset({"dockerauth.cn-hangzhou.aliyuncs.com"}),
    ),
)


def known(registry: Registry) -> Host:
    """Return the facts about a registry; about most there are none.

    >>> known(Registry("012345678901.dkr.ecr.eu-west-1.amazonaws.com")).name
    'Amazon ECR'
    >>> known(Registry("registry.local:5000")).name
    ''
    """
    host = registry.api_host.lower()
    return next((each for each in _KNOWN if any(fnmatchcase(host, pattern) for pattern in each.hosts)), _UNKNOWN)
