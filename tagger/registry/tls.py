"""TLS with a registry: the certificates that the system and the Engine trust for it."""

from __future__ import annotations

import errno
import ssl
from pathlib import Path

import urllib3

from tagger.errors import RegistryUnreachable
from tagger.names import Registry
from tagger.text import printable


def context(registry: Registry, *, verified: bool) -> ssl.SSLContext:
    """How to speak TLS with a registry, its token server and wherever it points.

    Raises RegistryUnreachable for a certificate that cannot be used.
    """
    if verified:
        found = ssl.create_default_context()
        # Since Python 3.13, a certificate needs more than for the Engine, such as a key identifier.
        found.verify_flags &= ~ssl.VERIFY_X509_STRICT
    else:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        found.check_hostname = False
        found.verify_mode = ssl.CERT_NONE
    _add_certificates(found, registry)
    return found


def authorities(registry: Registry) -> list[Path]:
    """Return the files and folders of the CAs that are trusted for a registry: the system's, and its own."""
    system = ssl.get_default_verify_paths()
    own = [file for folder in _folders(registry) for file in sorted(folder.glob("*.crt"))]
    return [*(Path(place) for place in (system.cafile, system.capath) if place), *own]


def _folders(registry: Registry) -> list[Path]:
    """Return the folders of an Engine that runs as root, of a rootless Engine, and of Docker Desktop."""
    folders = (Path("/etc/docker"), Path.home() / ".config/docker", Path.home() / ".docker")
    return [folder / "certs.d" / registry.host for folder in folders]


def _add_certificates(found: ssl.SSLContext, registry: Registry) -> None:
    """Trust what the Engine trusts: `certs.d/HOST:PORT/` with *.crt for CAs and *.cert beside *.key for a client."""
    for folder in _folders(registry):
        try:
            for authority in sorted(folder.glob("*.crt")):
                found.load_verify_locations(_no_pipe(authority))
            for certificate in sorted(folder.glob("*.cert")):
                found.load_cert_chain(_no_pipe(certificate), _no_pipe(certificate.with_suffix(".key")))
        except (OSError, ssl.SSLError) as error:
            raise RegistryUnreachable(
                f"a certificate in {folder} cannot be used ({printable(error)})", "each *.cert needs its *.key, in PEM"
            ) from None


def _no_pipe(file: Path) -> Path:
    """Return the file. Raises OSError for a pipe, because reading it may never end."""
    if file.is_fifo():
        raise OSError(errno.EINVAL, f"{file.name} is a pipe")
    return file
