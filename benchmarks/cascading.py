"""Release by a scheme with many aliases: `python -m benchmarks.cascading 60 IMAGE HOST REPOSITORY`."""

from __future__ import annotations

import sys

from tagger.credentials.docker import DockerConfig
from tagger.engine.client import Engine
from tagger.image_name import ImageName
from tagger.names import Registry, Repository
from tagger.registry.connection import Connection
from tagger.registry.repository import RemoteRepository
from tagger.registry.site import Trust
from tagger.releasing.order import FloatsVia, Opened, Order
from tagger.releasing.placement import Placement
from tagger.releasing.steps import release
from tagger.rules.scheme import Scheme
from tagger.rules.version import parse_version


def main(aliases: int, image: str, host: str, path: str) -> None:
    """Release an image as 2.1.106 with a number of aliases of the series 2, without TLS or a password."""
    scheme = Scheme(aliases=tuple((f"alias-{n}", "2") for n in range(aliases)))
    engine = Engine(DockerConfig.load(), lambda _: None)
    connection = Connection(Registry(host), lambda: None, Trust(insecure=True, plain_first=True))
    repository = RemoteRepository(Repository.at(Registry(host), path), connection)
    placement = Placement(image, repository.name, scheme)
    opened = Opened([placement], {image: engine.image(ImageName.parse(image))}, {repository.name: repository})
    release(engine, opened, Order(parse_version("2.1.106"), FloatsVia.REGISTRY))


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
