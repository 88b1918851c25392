"""All checks of `tagger doctor`, in their order."""

from __future__ import annotations

import os
from pathlib import Path

from tagger.config.places import places
from tagger.config.read import read_any
from tagger.config.settings import Given
from tagger.credentials.credential import Credential
from tagger.credentials.docker import DockerConfig
from tagger.doctor import machine
from tagger.doctor.finding import Diagnosis, found, got, once
from tagger.doctor.repository import Examination
from tagger.engine.client import Engine
from tagger.events import silent
from tagger.names import Repository
from tagger.wiring.access import Access, Registries
from tagger.work import Deadline


def diagnose(named: str | None, access: Access) -> Diagnosis:
    """Check this machine and a repository, or an image of the settings; without a name, every image of the settings.

    Raises InvalidReference for a name that is neither.
    """
    given = Given(auth_hosts=tuple(access.get("auth_host", ())) or None)
    where = once(lambda: places(given, os.environ, Path(), named) if named else ())
    alone = [Repository.parse(each.repository) for each in got(where) or ()]
    if named and not alone:  # the settings cannot be read
        alone = [Repository.parse(named)]
    settings = once(lambda: [each.config for each in where()] if named else [*read_any(given, os.environ, Path())])
    loaded = once(DockerConfig.load)
    docker, deadline = got(loaded) or DockerConfig(), Deadline(None, access.get("progress", silent))
    engine = once(lambda: Engine(docker, lambda _: None, deadline=deadline, trace=access.get("trace")))
    findings = [
        found("settings", lambda: machine.settings(settings)),
        found("Docker configuration", lambda: machine.docker_configuration(loaded)),
        found("Engine", lambda: machine.engine(docker, os.environ, engine)),
        found("proxy", machine.proxy),
    ]
    answering = got(engine)
    in_force = got(settings) or ()
    auth_hosts = {*access.get("auth_host", ()), *(host for each in in_force for host in each.settings.auth_hosts)}
    registries = Registries(docker, {**access, "auth_host": auth_hosts}, deadline, engine if answering else None)

    def credential(target: Repository) -> tuple[Credential | None, str]:
        loaded()  # unknown if they cannot be read
        return registries.resolved(target)

    for target in alone or got(lambda: machine.targets(in_force)) or ():
        findings += Examination(registries.open(target), credential, answering).findings()
    return Diagnosis(tuple(findings))
