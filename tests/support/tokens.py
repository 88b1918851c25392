"""A token server for a real registry: it signs what it grants, and the registry trusts its certificate."""

from __future__ import annotations

import base64
import json
import secrets
import ssl
import subprocess
import tempfile
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs

from doubles import Request, Response, Server, _Handler, _TCPListener, as_json, basic, refusal

ISSUER, SERVICE = "tests", "registry"


class TokenServer(Server):
    """Issue tokens to one user, by password (GET) or identity token (POST), for requested rights in `grants`.

    Less than was asked is no error (distribution spec, "Token Authentication"). `expires_in` is what it says, in
    seconds; the registry itself allows a minute more than the hour that is signed.
    """

    def __init__(self, folder: Path, username: str, password: str, identity_token: str = "") -> None:
        super().__init__()
        self._folder, self._login, self._identity = folder, basic(username, password), identity_token
        self._password = password
        self.grants = {"pull", "push"}
        self.expires_in = 300
        self.issued: list[str] = []
        self._key, self.certificate = folder / "token.key", folder / "token.crt"
        key, certificate = _pair()
        self._key.write_bytes(key)
        self.certificate.write_bytes(certificate)
        self._chain = [base64.b64encode(ssl.PEM_cert_to_DER_cert(certificate.decode())).decode()]

    def _listen(self) -> _TCPListener:
        listener = _TCPListener(("127.0.0.1", 0), _Handler)
        self.host = f"127.0.0.1:{listener.server_address[1]}"
        return listener

    @property
    def settings(self) -> Mapping[str, str]:
        """What a registry's `auth.token` must hold to trust this server."""
        realm, bundle = f"http://{self.host}/token", str(self.certificate)
        return {"realm": realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": bundle}

    def answer(self, request: Request) -> Response:
        """Issue a token."""
        form = request.query if request.method == "GET" else parse_qs(request.body.decode())
        known = request.headers.get("Authorization") == self._login
        if request.method == "POST":
            known = form.get("refresh_token") == [self._identity] or form.get("password") == [self._password]
        if not known:
            return refusal(401, "UNAUTHORIZED", "authentication required")
        scopes = [scope for value in form.get("scope", []) for scope in value.split()]
        self.issued.extend(scopes)
        token = self._sign([self._granted(scope) for scope in scopes])
        return as_json(200, {"token": token, "access_token": token, "expires_in": self.expires_in})

    def _granted(self, scope: str) -> Mapping[str, object]:
        kind, name, actions = scope.split(":")
        return {"type": kind, "name": name, "actions": sorted(self.grants & set(actions.split(",")))}

    def _sign(self, access: list[Mapping[str, object]]) -> str:
        now = int(time.time())
        claims: dict[str, object] = {
            "iss": ISSUER,
            "sub": "user",
            "aud": SERVICE,
            "nbf": now - 10,
            "iat": now,
            "exp": now + 3600,
        }
        claims["jti"] = secrets.token_hex(8)  # no two tokens are the same
        content = f"{_part({'typ': 'JWT', 'alg': 'RS256', 'x5c': self._chain})}.{_part({**claims, 'access': access})}"
        signature = _openssl("dgst", "-sha256", "-sign", str(self._key), stdin=content.encode())
        return f"{content}.{_base64(signature)}"


@cache
def _pair() -> tuple[bytes, bytes]:
    """Make a key and its certificate, once, because the search for primes takes long."""
    subject = ["-subj", "/CN=tokens", "-days", "2", "-nodes"]
    with tempfile.TemporaryDirectory(prefix="tagger-") as folder:
        key, certificate = Path(folder, "key"), Path(folder, "certificate")
        files = ["-keyout", str(key), "-out", str(certificate)]
        _openssl("req", "-x509", "-newkey", "rsa:2048", *subject, *files)
        return key.read_bytes(), certificate.read_bytes()


def _openssl(*words: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *words], input=stdin, check=True, capture_output=True).stdout


def _part(content: Mapping[str, object]) -> str:
    return _base64(json.dumps(content).encode())


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
