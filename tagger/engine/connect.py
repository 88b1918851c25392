"""A docker-py client for one Engine, without the settings that docker-py would find itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tagger.credentials.contexts import Endpoint, Tls
from tagger.engine.failures import unreachable
from tagger.errors import TaggerError

if TYPE_CHECKING:
    import docker
    from docker.tls import TLSConfig

# docker-py's own limit of 60 s ends a push whose registry is silent for that long while a large layer is stored.
SILENCE_SECONDS = 600


def connect(place: Endpoint, headers: Mapping[str, Any]) -> docker.APIClient:
    """Return a client for an Engine that answers; it sends `headers` with every request.

    Raises EngineUnreachable, after closing everything.
    """
    try:
        return _client(place, headers)
    except TaggerError:
        raise
    except Exception as error:  # noqa: BLE001 - docker-py wraps whatever went wrong on the way to the first answer
        raise unreachable(place.host, error) from None


def _client(place: Endpoint, headers: Mapping[str, Any]) -> docker.APIClient:
    import docker  # slower than everything else together, and only a release needs it
    import urllib3

    class Client(docker.APIClient):
        # docker-py reads the whole Docker configuration, and a bad entry of any other host breaks it; only the
        # environment, which belongs to the whole process, could name another file. An entry without a name stops its
        # search for credentials elsewhere: a push brings its own.
        @property
        def _general_configs(self) -> dict[str, Any]:
            return {"auths": {"": {}}, "HttpHeaders": {name: str(value) for name, value in headers.items()}}

        @_general_configs.setter
        def _general_configs(self, _: dict[str, Any]) -> None:
            pass

        def __init__(self) -> None:
            try:
                super().__init__(base_url=place.host, tls=_tls(place.tls), timeout=SILENCE_SECONDS)
            except BaseException:
                self.close()
                raise

        def _raise_for_status(self, response: Any) -> None:
            # docker-py expects every error to be an object with a `message`, which not every Engine sends.
            try:
                super()._raise_for_status(response)  # type: ignore[misc] # the stubs lack it
            except (LookupError, TypeError):
                raise docker.errors.APIError("", response=response, explanation=response.text) from None

        def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
            # Otherwise REQUESTS_CA_BUNDLE would override the CA that the context or DOCKER_CERT_PATH gives.
            verify = self.verify if verify is None else verify
            return super().merge_environment_settings(url, proxies, stream, verify, cert)

    if place.tls and not place.tls.verify:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return Client()


def _tls(settings: Tls | None) -> TLSConfig | bool:
    import docker.tls

    if settings is None:
        return False
    return docker.tls.TLSConfig(client_cert=settings.client, ca_cert=settings.ca, verify=settings.verify)
