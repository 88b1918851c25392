"""A password that must never be seen, in any form: every run of the command is searched for it."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

USER = "releaser"
PASSWORD = "canary/7Q+s?v=&%41:x~9"  # every character changes in some encoding

searched: list[int] = []
"""How many characters each of the searched texts had."""


def disguises(secret: str) -> frozenset[str]:
    """Return what a secret looks like as it is, in URLs, in JSON, and anywhere inside of base64."""
    forms = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    return frozenset({*forms, *(part for form in forms for part in _in_base64(form))})


def _in_base64(secret: str) -> Iterator[str]:
    """Yield what stays the same in the secret's base64, wherever it begins: only its ends mix with other bytes."""
    for before in range(3):
        content = b"\0" * before + secret.encode()
        whole = len(content) // 3 * 3
        for encoded in (base64.b64encode(content[:whole]), base64.urlsafe_b64encode(content[:whole])):
            yield encoded.decode()[4 if before else 0 :]


_DISGUISES = disguises(PASSWORD)


def seen(text: str) -> list[str]:
    """The forms of the password that a text shows."""
    searched.append(len(text))
    return [form for form in _DISGUISES if form in text]


def docker_config(folder: Path, *hosts: str, **more: object) -> dict[str, str]:
    """Write a Docker configuration with logins for some hosts, and return the environment that names it."""
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    folder.mkdir(parents=True, exist_ok=True)
    content: Mapping[str, object] = {"auths": {host: {"auth": login} for host in hosts}, **more}
    file = folder / "config.json"
    text = json.dumps(content)
    if not file.exists() or file.read_text() != text:  # others may read it right now
        part = folder / f"config-{threading.get_ident()}"
        part.write_text(text)
        part.replace(file)
    return {"DOCKER_CONFIG": os.fspath(folder)}
