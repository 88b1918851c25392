"""Run real registries and real Docker Engines in private folders, and leave nothing behind."""

import base64
import contextlib
import ctypes
import functools
import hashlib
import http.client
import io
import ipaddress
import json
import os
import platform
import re
import signal
import socket
import ssl
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

ACCEPT = (
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
)
CERTIFICATES = Path("/etc/docker/certs.d")
FRUGAL = {"GOGC": "400", "GOMAXPROCS": "1"}
"""Settings with which a small Go service needs a sixth less processor time."""
IN_MEMORY = Path("/dev/shm/tagger")
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
# Proxies and credentials of the caller must not reach a service.
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


class ServiceError(Exception):
    """A service did not start, or a command on it failed; carries what it said."""


# --- processes ------------------------------------------------------------------------------------


def free_port(host: str = "127.0.0.1") -> int:
    """Find a TCP port of `host` on which nothing listens."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _spawn(
    command: Sequence[str], folder: Path, log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a command out of reach of the terminal's Ctrl-C; it dies with the thread that started it."""
    with log.open("ab") as output:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            cwd=folder,
            env={**ENVIRONMENT, "HOME": str(folder), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _wait_until(answers: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, seconds: float) -> None:
    """Wait until a service answers; raise ServiceError with the end of its log when it ends or is too slow."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if answers():
                return
        time.sleep(0.02)
    state = "is silent" if process.poll() is None else f"ended with {process.returncode}"
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise ServiceError(f"{log.stem} {state}\n{tail}")


# --- names ----------------------------------------------------------------------------------------


def loopback_address() -> str:
    """Return a loopback address for this process alone: 127.0.0.0 plus the process id, so sessions never meet."""
    return str(ipaddress.IPv4Address("127.0.0.0") + os.getpid())


def private_hosts(addresses: Mapping[str, str]) -> None:
    """Make names resolve to addresses, and /etc/docker an empty folder, for this process and its children only.

    What services store is in memory from then on, which halves the cost of an upload.
    Call it before any thread starts: a mount namespace belongs to a thread, and threads inherit it at birth.
    Raises OSError when the process may not mount.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    new_mount_namespace, bind, recursive, private = 0x20000, 0x1000, 0x4000, 0x40000

    def check(result: int) -> None:
        if result != 0:
            raise OSError(
                ctypes.get_errno(), f"a private /etc/hosts takes CAP_SYS_ADMIN: {os.strerror(ctypes.get_errno())}"
            )

    others = [
        line
        for line in Path("/etc/hosts").read_text().splitlines()
        if addresses.keys().isdisjoint(line.partition("#")[0].split()[1:])
    ]
    check(libc.unshare(new_mount_namespace))
    check(libc.mount(b"none", b"/", None, ctypes.c_ulong(recursive | private), None))
    # The bind mount keeps the file alive after its own name is gone.
    with tempfile.NamedTemporaryFile("w") as hosts:
        hosts.writelines(f"{address} {name}\n" for name, address in addresses.items())
        hosts.writelines(f"{line}\n" for line in others)
        hosts.flush()
        Path(hosts.name).chmod(0o644)
        check(libc.mount(hosts.name.encode(), b"/etc/hosts", None, ctypes.c_ulong(bind), None))
    # Engines read certificates there, and make the folder if there is none.
    CERTIFICATES.parent.mkdir(exist_ok=True)
    check(libc.mount(b"tmpfs", os.fsencode(CERTIFICATES.parent), b"tmpfs", ctypes.c_ulong(0), b"size=16m"))
    check(libc.mount(b"tmpfs", os.fsencode(IN_MEMORY.parent), b"tmpfs", ctypes.c_ulong(0), None))
    IN_MEMORY.mkdir()


# --- registry -------------------------------------------------------------------------------------


def _bcrypt(password: str) -> str:
    """Hash a password for an htpasswd file."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    hashed: bytes = crypt(password.encode(), b"$2y$04$abcdefghijklmnopqrstuu")
    return hashed.decode()


class Registry:
    """Debian's docker-registry (distribution 2.8) on a loopback port, with its storage in a private folder."""

    def __init__(
        self,
        folder: Path,
        host: str,
        users: Mapping[str, str],
        tls: Mapping[str, Any] | None = None,
        program: str | Path = "docker-registry",
    ) -> None:
        self.folder = folder
        self._program = program
        self._tls = tls
        self.host = host
        self.root = folder / "storage"
        self.log = folder / "docker-registry.log"
        self.users = dict(users)
        self.process = self._run()

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        deletes: bool = True,
        host: str = "127.0.0.1",
        port: int | None = None,
        htpasswd: Mapping[str, str] | None = None,
        tokens: Mapping[str, str] | None = None,
        tls: Mapping[str, Any] | None = None,
        program: str | Path = "docker-registry",
    ) -> Self:
        """Start a registry in an empty folder and wait until it answers.

        `htpasswd` maps users to passwords; `tokens` and `tls` are its own settings of these names, `auth.token` and
        `http.tls`. With TLS, its certificate has to be for `localhost`.
        """
        address = f"{host}:{port or free_port(host)}"
        config: dict[str, Any] = {
            "version": "0.1",
            "storage": {
                "filesystem": {"rootdirectory": str(folder / "storage")},
                "delete": {"enabled": deletes},
                "maintenance": {"uploadpurging": {"enabled": False}},
            },
            "http": {"addr": address, "secret": "loopback only", **({"tls": dict(tls)} if tls else {})},
        }
        if htpasswd:
            users = folder / "htpasswd"
            users.write_text("".join(f"{user}:{_bcrypt(password)}\n" for user, password in htpasswd.items()))
            config["auth"] = {"htpasswd": {"realm": "registry", "path": str(users)}}
        if tokens:
            config["auth"] = {"token": dict(tokens)}
        # JSON is YAML.
        (folder / "config.yml").write_text(json.dumps(config, indent=2))
        return cls(folder, address, htpasswd or {}, tls, program)

    def _run(self) -> subprocess.Popen[bytes]:
        command = [str(self._program), "serve", "config.yml"]
        return self._answering(_spawn(command, self.folder, self.log, FRUGAL))

    def _answering(self, process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        try:
            _wait_until(lambda: self.request("GET", "/v2/")[0] in (200, 401), process, self.log, seconds=20)
        except BaseException:
            process.kill()
            process.wait()
            raise
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process and wait for it; its storage stays."""
        self.process.terminate()
        self.resume()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the process as a power cut would."""
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        """Stop, and start again on the same port with the same storage."""
        self.stop()
        self.process = self._run()

    def pause(self) -> None:
        """Make the registry silent: connections are accepted, nothing answers."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """End a pause."""
        self.process.send_signal(signal.SIGCONT)

    # The following code speaks HTTP by hand, so tests check tagger against something that shares no code with it.

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send one request, as the first user if there are any; give the status, headers (lower case), body."""
        sent = {"Accept": ACCEPT, **(headers or {})}
        for user, password in list(self.users.items())[:1]:
            sent["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        with contextlib.closing(self._connection()) as connection:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            received = {name.lower(): value for name, value in response.getheaders()}
            return response.status, received, response.read()

    def _connection(self) -> http.client.HTTPConnection:
        if not self._tls:
            return http.client.HTTPConnection(self.host, timeout=10)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if self._tls.get("clientcas"):
            context.load_cert_chain(self._tls["certificate"], self._tls["key"])
        return http.client.HTTPSConnection(self.host, timeout=10, context=context)

    def tags(self, repository: str) -> list[str]:
        """List the repository's tags, sorted; empty when there is no such repository."""
        status, _, body = self.request("GET", f"/v2/{repository}/tags/list")
        if status == 404:
            return []
        self._expect(200, status, body)
        return sorted(json.loads(body)["tags"] or [])

    def digest(self, repository: str, reference: str) -> str | None:
        """The digest that a tag or digest leads to; None when the registry does not have it."""
        status, headers, body = self.request("HEAD", f"/v2/{repository}/manifests/{reference}")
        if status == 404:
            return None
        self._expect(200, status, body)
        return headers["docker-content-digest"]

    def snapshot(self, repository: str) -> dict[str, str]:
        """Map every tag that leads somewhere to its digest."""
        digests = {tag: self.digest(repository, tag) for tag in self.tags(repository)}
        return {tag: digest for tag, digest in digests.items() if digest}

    def manifest(self, repository: str, reference: str) -> bytes:
        """A manifest as stored."""
        status, _, body = self.request("GET", f"/v2/{repository}/manifests/{reference}")
        self._expect(200, status, body)
        return body

    def put(self, repository: str, reference: str, manifest: bytes, media_type: str) -> int:
        """Put a manifest under a tag or digest, and return the status, whatever it is."""
        path = f"/v2/{repository}/manifests/{reference}"
        return self.request("PUT", path, manifest, {"Content-Type": media_type})[0]

    def requests(self) -> list[str]:
        """List the requests to this registry so far, as `METHOD /path`, from its access log."""
        return re.findall(r'\] "([A-Z]+ \S+) HTTP/', self.log.read_text(errors="replace"))

    def link_file(self, repository: str, tag: str) -> Path:
        """The file in which the registry stores where a tag leads."""
        return self.root / "docker/registry/v2/repositories" / repository / "_manifests/tags" / tag / "current/link"

    @staticmethod
    def _expect(wanted: int, status: int, body: bytes) -> None:
        if status != wanted:
            raise ServiceError(f"the registry answered {status}: {body.decode(errors='replace')}")


# --- images ---------------------------------------------------------------------------------------


def _tar(files: Mapping[str, bytes]) -> bytes:
    """Pack files into a tar that depends on nothing but them."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _layers(content: bytes | str, number: int) -> list[bytes]:
    content = content.encode() if isinstance(content, str) else content
    return [_tar({f"layer-{position}": content}) for position in range(number)]


def _config(layers: Sequence[bytes], architecture: str) -> bytes:
    """The image configuration of uncompressed layers."""
    config = {
        "architecture": architecture,
        "os": "linux",
        "created": "2024-01-01T00:00:00Z",
        "config": {"Cmd": ["/layer-0"]},
        "rootfs": {"type": "layers", "diff_ids": [_sha256(layer) for layer in layers]},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "tests"} for _ in layers],
    }
    return json.dumps(config).encode()


def image_archive(name: str, content: bytes | str, layers: int) -> bytes:
    """Return what `docker load` takes for an image of one platform."""
    blobs = _layers(content, layers)
    files = {f"layer-{position}.tar": blob for position, blob in enumerate(blobs)}
    manifest = [{"Config": "config.json", "RepoTags": [_with_tag(name)], "Layers": list(files)}]
    return _tar({"manifest.json": json.dumps(manifest).encode(), "config.json": _config(blobs, ARCHITECTURE), **files})


def index_archive(name: str, content: bytes | str, platforms: Sequence[str], absent: Sequence[str]) -> bytes:
    """Return what `docker load` takes for an index (OCI layout), without the blobs of the `absent` platforms."""
    blobs: dict[str, bytes] = {}

    def descriptor(blob: bytes, kind: str, **more: object) -> dict[str, object]:
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": _sha256(blob), "size": len(blob), **more}

    children = []
    for each in platforms:
        system, architecture = each.split("/")
        layers = _layers(f"{content!r} {each}", 1)
        config = _config(layers, architecture)
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": descriptor(config, "config.v1+json"),
                "layers": [descriptor(layer, "layer.v1.tar") for layer in layers],
            }
        ).encode()
        where = {"os": system, "architecture": architecture}
        children.append(descriptor(manifest, "manifest.v1+json", platform=where))
        if each not in absent:
            blobs |= {_sha256(blob): blob for blob in (manifest, config, *layers)}
    index_type = "application/vnd.oci.image.index.v1+json"
    index = json.dumps({"schemaVersion": 2, "mediaType": index_type, "manifests": children}).encode()
    blobs[_sha256(index)] = index
    names = {"io.containerd.image.name": _with_registry(_with_tag(name))}
    top = {"schemaVersion": 2, "manifests": [descriptor(index, "index.v1+json", annotations=names)]}
    return _tar(
        {
            "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
            "index.json": json.dumps(top).encode(),
            **{f"blobs/{digest.replace(':', '/')}": blob for digest, blob in blobs.items()},
        }
    )


def _with_tag(name: str) -> str:
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _with_registry(name: str) -> str:
    first, slash, _ = name.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"


class CraneRegistry(Registry):
    """The in-memory registry of crane, which deletes single tags.

    Debian's crane has no option that switches its referrers API on, and no registry of Debian has one: both answer 404.
    """

    @classmethod
    def serve(cls, program: Path, folder: Path) -> Self:
        """Start it and wait until it answers; what it held is lost when it stops."""
        return cls(folder, f"127.0.0.1:{free_port()}", {}, program=program)

    def _run(self) -> subprocess.Popen[bytes]:
        command = [str(self._program), "registry", "serve", "--address", self.host]
        return self._answering(_spawn(command, self.folder, self.log))


# --- engines --------------------------------------------------------------------------------------


class _LocalConnection(http.client.HTTPConnection):
    """A connection to a socket of this machine."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=300)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Daemon:
    """An Engine in its own mount and process namespaces, which end everything that it started."""

    name = "dockerd"

    def __init__(self, folder: Path, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Run `command`, and wait until it answers at `docker.sock` in `folder`."""
        self.folder = folder
        self._command = command
        self._environment = environment
        self.socket = folder / "docker.sock"
        self.url = f"unix://{self.socket}"
        self.log = folder / f"{self.name}.log"
        self.process = self._run()

    @staticmethod
    def _dockerd(folder: Path, inside: Path, settings: Mapping[str, Any]) -> list[str]:
        """Write the settings of a dockerd that sees `folder` as `inside`, and return the command that runs it."""
        if len(os.fsencode(inside / "exec/containerd/containerd-debug.sock")) > 100:
            raise ServiceError(f"{folder} is too long a path for sockets")
        config = {
            "hosts": [f"unix://{inside}/docker.sock"],
            "data-root": f"{inside}/data",
            "exec-root": f"{inside}/exec",
            "pidfile": f"{inside}/pid",
            "bridge": "none",
            "iptables": False,
            "ip6tables": False,
            **settings,
        }
        (folder / "daemon.json").write_text(json.dumps(config, indent=2))
        return ["dockerd", "--config-file", f"{inside}/daemon.json"]

    def _run(self) -> subprocess.Popen[bytes]:
        # dockerd has process ID 1 in its namespace, so a stale file would name the new process as the old one.
        for stale in ("pid", "exec/containerd/containerd.pid"):
            (self.folder / stale).unlink(missing_ok=True)
        namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        process = _spawn([*namespaces, *self._command], self.folder, self.log, self._environment)
        try:
            _wait_until(self._answers, process, self.log, seconds=60)
        except BaseException:
            process.kill()
            process.wait()
            raise
        return process

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(self.socket))
            client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 OK" in client.recv(4096)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the Engine and wait until every process and mount of its namespaces is gone; its data stays."""
        self._signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the Engine and all that it started as a power cut would."""
        self._signal(signal.SIGKILL)
        self.process.wait()

    def restart(self) -> None:
        """Stop, and start again on the same socket with the same data."""
        self.stop()
        self.process = self._run()

    def _signal(self, number: signal.Signals) -> None:
        """Signal the Engine itself, the only child of unshare, which would ignore it."""
        unshare = self.process.pid
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for child in Path(f"/proc/{unshare}/task/{unshare}/children").read_text().split():
                os.kill(int(child), number)

    def docker(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run the docker command against this Engine and return its output; ServiceError when it fails."""
        command = ["docker", "--host", self.url, "--config", str(self.folder / "client"), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, env=ENVIRONMENT, timeout=300, check=False)
        if done.returncode:
            said = (done.stdout + done.stderr).decode(errors="replace").strip()
            raise ServiceError(f"docker {' '.join(arguments)}: {said}")
        return done.stdout.decode()

    def image(self, name: str, content: bytes | str, *, layers: int = 1) -> str:
        """Make an image whose every layer holds `content`, named `name`; give its ID."""
        return self._load(name, image_archive(name, content, layers))

    def tags(self, repository: str) -> dict[str, str]:
        """Map the repository's local tags to their image IDs."""
        images = json.loads(self._ask("GET", "/images/json"))
        names = [(name.rpartition(":"), image["Id"]) for image in images for name in image["RepoTags"] or ()]
        return {tag: image for (path, _, tag), image in names if path == repository}

    def forget(self, image: str) -> None:
        """Remove an image with all of its names, if it is still there."""
        with contextlib.suppress(ServiceError):
            self._ask("DELETE", f"/images/{quote(image)}?force=1")

    def _load(self, name: str, archive: bytes) -> str:
        self._ask("POST", "/images/load?quiet=1", archive)
        image: str = json.loads(self._ask("GET", f"/images/{quote(name)}/json"))["Id"]
        return image

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Send one request, which costs less than the docker command; ServiceError when it fails."""
        with contextlib.closing(_LocalConnection(self.socket)) as connection:
            connection.request(method, path, body, {"Content-Type": "application/x-tar"} if body else {})
            response = connection.getresponse()
            said = response.read()
        if response.status >= 300 or b'"errorDetail"' in said:
            raise ServiceError(f"{method} {path}: {said.decode(errors='replace')}")
        return said


class Engine(Daemon):
    """The machine's own dockerd with the graph-driver store."""

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        insecure: Sequence[str] = ("registry.local:5000",),
        environment: Mapping[str, str] | None = None,
    ) -> Self:
        """Start an Engine in an empty folder."""
        settings = {"insecure-registries": list(insecure), "features": {"containerd-snapshotter": False}}
        return cls(folder, cls._dockerd(folder, folder, settings), environment)

    def image(self, name: str, content: bytes | str, *, layers: int = 1) -> str:
        """Make an image, or tag an existing one again, which takes a hundredth of the time of loading it."""
        known = self._images.get((content, layers))
        if known and self._is_there(known):
            repository, _, tag = _with_tag(name).rpartition(":")
            self._ask("POST", f"/images/{quote(known)}/tag?repo={quote(repository)}&tag={quote(tag)}")
            return known
        self._images[content, layers] = made = super().image(name, content, layers=layers)
        return made

    def imported(self, name: str, content: bytes | str) -> str:
        """Make an image of one layer that holds `content`, in half the time of loading one; return its ID."""
        repository, _, tag = _with_tag(name).rpartition(":")
        where = f"repo={quote(repository)}&tag={quote(tag)}"
        said = self._ask("POST", f"/images/create?fromSrc=-&{where}", _layers(content, 1)[0])
        image: str = json.loads(said.splitlines()[-1])["status"]
        return image

    @functools.cached_property
    def _images(self) -> dict[tuple[bytes | str, int], str]:
        return {}

    def _is_there(self, image: str) -> bool:
        with contextlib.suppress(ServiceError):
            self._ask("GET", f"/images/{quote(image)}/json")
            return True
        return False


# containerd wants its root to be a mount point.
_ENTER = """
    set -e
    mount --bind "$0" "$0"
    mount --rbind /sys "$0/sys"
    mount --rbind /dev "$0/dev"
    mount -t proc proc "$0/proc"
    mount -t tmpfs tmpfs "$0/run"
    cp /etc/hosts "$1/hosts"
    mount --bind "$1/hosts" "$0/etc/hosts"
    mount --bind "$1" "$0/mnt"
    shift
    exec chroot "$0" "$@"
"""


def _within(root: Path, folder: Path, command: Sequence[str]) -> list[str]:
    """The command that runs another one in a Debian in a folder, where `folder` is /mnt."""
    return ["sh", "-c", _ENTER, str(root), str(folder), *command]


class ContainerdEngine(Daemon):
    """The dockerd of a Debian in a folder (tools/containerd-root) with the containerd image store."""

    @classmethod
    def start(cls, root: Path, folder: Path, *, insecure: Sequence[str] = ("registry.local:5000",)) -> Self:
        """Start the Engine of `root` in an empty folder."""
        settings = {"insecure-registries": list(insecure), "features": {"containerd-snapshotter": True}}
        return cls(folder, _within(root, folder, cls._dockerd(folder, Path("/mnt"), settings)))

    def index(
        self,
        name: str,
        content: bytes | str,
        *,
        platforms: Sequence[str] = ("linux/amd64", "linux/arm64"),
        absent: Sequence[str] = (),
    ) -> str:
        """Make an index named `name` with one image per platform; return its ID.

        The index lists the `absent` platforms, but the Engine gets none of their content (if it never had it).
        """
        return self._load(name, index_archive(name, content, platforms, absent))


class Podman(Daemon):
    """Podman's service, which answers the Docker API: the machine's own Podman, or that of a Debian in a folder."""

    name = "podman"
    # All processes that run as root share what Podman remembers there about blobs and names.
    ALONE = """
        set -e
        for each in /var/lib/containers /var/cache/containers; do
            mkdir -p "$each"
            mount -t tmpfs tmpfs "$each"
        done
        exec podman "$@"
    """

    @classmethod
    def start(cls, folder: Path, root: Path | None = None) -> Self:
        """Start Podman in an empty folder, from `root` if there is one; it pushes to loopback without TLS."""
        inside = Path("/mnt") if root else folder
        registries = 'unqualified-search-registries = []\n[[registry]]\nlocation = "127.0.0.1"\ninsecure = true\n'
        (folder / "registries.conf").write_text(registries)
        # Locks in shared memory and a folder in /run would be shared with the machine.
        own = f'lock_type = "file"\ntmp_dir = "{inside}/tmp"\nimage_copy_tmp_dir = "{inside}/tmp"\n'
        own += 'cgroup_manager = "cgroupfs"\nevents_logger = "none"\n'
        (folder / "containers.conf").write_text(f"[engine]\n{own}")
        (folder / "tmp").mkdir()
        places = ["--root", f"{inside}/data", "--runroot", f"{inside}/run", "--storage-driver", "vfs"]
        service = ["system", "service", "--time", "0", f"unix://{inside}/docker.sock"]
        command = ["sh", "-c", cls.ALONE, "sh", *places, *service]
        environment = {
            "HOME": str(inside),
            "TMPDIR": f"{inside}/tmp",
            "CONTAINERS_CONF": f"{inside}/containers.conf",
            "CONTAINERS_REGISTRIES_CONF": f"{inside}/registries.conf",
        }
        return cls(folder, _within(root, folder, command) if root else command, environment)

    def manifest_list(self, name: str, image: str) -> None:
        """Make a manifest list of one local image, which takes Podman's own API."""
        full = self.docker("image", "inspect", "--format", "{{index .RepoTags 0}}", image).strip()
        self._own("POST", f"manifests/{name}?images=containers-storage:{full}")

    def save(self, name: str) -> bytes:
        """The tar of the OCI layout of a local image, which takes Podman's own API."""
        return self._own("GET", f"images/{name}/get?format=oci-archive")

    def _own(self, method: str, path: str) -> bytes:
        command = ["curl", "--silent", "--show-error", "--fail", "--unix-socket", str(self.socket), "--request", method]
        url = f"http://podman/v4.0.0/libpod/{path}"
        done = subprocess.run([*command, url], capture_output=True, env=ENVIRONMENT, timeout=60, check=False)
        if done.returncode:
            raise ServiceError(f"Podman does not {method} {path}: {done.stderr.decode(errors='replace')}")
        return done.stdout


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A folder whose path is short enough for sockets, in memory if possible; it is removed at the end."""
    place = IN_MEMORY if IN_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="tagger-", dir=place, ignore_cleanup_errors=True) as folder:
        yield Path(folder)
