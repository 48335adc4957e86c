"""The Kubernetes API as raw JSON: pages of a list, events of a watch.

Of the package kubernetes only the connection, the credentials and the URLs are used: its models refuse a
whole list for one odd object, and its watch and informer repeat failed requests without a pause.
"""

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

PAGE: Final = 500
"""Objects a list call returns: some milliseconds of decoding on the event loop."""

WATCH_TIMEOUT: Final = 120
"""Seconds after which the server ends a watch, which is then opened again where it stood."""

WATCH_GRACE: Final = 15
"""Seconds after that when a server that has not ended it counts as dead."""

MAX_LINE: Final = 16 * 1024 * 1024
"""Octets of one event; etcd holds no object over 1.5 MiB."""


class ApiUnavailable(Exception):
    """The API did not answer, or refused. Retry with back-off."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        """What kind of failure, for telling a new one from the same one again: `403`, `unreachable`."""


class ApiGone(Exception):
    """The resource version is too old. List again."""


class ClientError(Exception):
    """There is no way to reach an API: no account, no kubeconfig, or one that cannot be read."""


class Page(NamedTuple):
    items: list[Any]
    resource_version: str
    token: str
    """For the next page; empty after the last."""


class Event(NamedTuple):
    type: str
    object: dict[str, Any]


Call = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResource:
    """One kind of object, of one namespace or of all."""

    title: str
    """For people, as `ingresses.networking.k8s.io`."""
    call: Call
    """The package's list call, which returns the response unread."""
    request_timeout: float = 30.0
    watch_timeout: int = WATCH_TIMEOUT
    watch_grace: float = WATCH_GRACE

    async def page(self, token: str) -> Page:
        """Return a page of the list: the first for an empty token.

        Raises:
            ApiUnavailable: no usable answer.
            ApiGone: the token has expired.
        """
        more = {"_continue": token} if token else {}
        try:
            response = await self.call(limit=PAGE, _request_timeout=self.request_timeout, **more)
            body = await response.read()
        except Exception as error:
            raise self._failure(error) from None
        self._check(response.status, body)
        document = self._object(body)
        items, metadata = document.get("items"), document.get("metadata")
        if not isinstance(metadata, dict) or not isinstance(metadata.get("resourceVersion"), str):
            raise ApiUnavailable("malformed", f"{self.title}: a list without a resourceVersion")
        following = metadata.get("continue")
        return Page(
            items if isinstance(items, list) else [],
            metadata["resourceVersion"],
            following if isinstance(following, str) else "",
        )

    @asynccontextmanager
    async def watch(self, resource_version: str) -> AsyncIterator[AsyncIterator[Event]]:
        """Open a watch from a resource version on; it has begun when the block is entered.

        Raises:
            ApiUnavailable: refused, broken off, or silent for longer than the server had agreed to.
            ApiGone: the resource version is too old.
        """
        response = await self._open_watch(resource_version)
        try:
            yield self._events(response.content)
        finally:
            response.close()

    async def _open_watch(self, resource_version: str) -> Any:
        try:
            response = await self.call(
                watch=True,
                resource_version=resource_version,
                allow_watch_bookmarks=True,
                timeout_seconds=self.watch_timeout,
                # Of the whole exchange: the library gives up then, also where nothing comes any more.
                _request_timeout=self.watch_timeout + self.watch_grace,
            )
            body = b"" if response.status == 200 else await response.read()
        except Exception as error:
            raise self._failure(error) from None
        if response.status != 200:
            response.close()
            self._check(response.status, body)
        return response

    async def _events(self, content: Any) -> AsyncIterator[Event]:
        buffer = b""
        while chunk := await self._chunk(content):
            *lines, buffer = (buffer + chunk).split(b"\n")
            if len(buffer) > MAX_LINE:
                raise ApiUnavailable("malformed", f"{self.title}: an event of over {MAX_LINE} octets")
            for line in lines:
                if line.strip():
                    yield self._event(line)

    async def _chunk(self, content: Any) -> bytes:
        try:
            chunk: bytes = await content.readany()
        except Exception as error:
            raise self._failure(error) from None
        return chunk

    def _event(self, line: bytes) -> Event:
        document = self._object(line)
        type_, content = document.get("type"), document.get("object")
        if not isinstance(type_, str) or not isinstance(content, dict):
            raise ApiUnavailable("malformed", f"{self.title}: an event without type or object")
        if type_ == "ERROR":
            code, message = content.get("code"), str(content.get("message"))[:200]
            if code == 410:
                raise ApiGone(message)
            raise ApiUnavailable(str(code), f"{self.title}: the watch failed: {message}")
        return Event(type_, content)

    def _object(self, octets: bytes) -> dict[str, Any]:
        try:
            document = json.loads(octets)
        except (ValueError, RecursionError):
            raise ApiUnavailable("malformed", f"{self.title}: no JSON: {octets[:80]!r}") from None
        if not isinstance(document, dict):
            raise ApiUnavailable("malformed", f"{self.title}: no JSON object: {octets[:80]!r}")
        return document

    def _check(self, status: int, body: bytes) -> None:
        if status == 200:
            return
        try:
            message = str(json.loads(body)["message"])
        except (ValueError, RecursionError, LookupError, TypeError):
            message = body.decode("utf-8", "replace").strip()
        if status == 410:
            raise ApiGone(message[:200])
        hint = {
            401: ": the credentials are not accepted",
            403: ": the account may not list and watch them",
            404: ": this API server does not have them",
        }.get(status, "")
        raise ApiUnavailable(str(status), f"{self.title}: HTTP {status}{hint}: {message[:200]}")

    def _failure(self, error: Exception) -> ApiUnavailable:
        reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
        return ApiUnavailable("unreachable", f"{self.title}: {reason[:200] or type(error).__name__}")


class Client:
    """A connection to one API server, and the calls for the kinds that are read."""

    def __init__(self, api_client: Any, request_timeout: float) -> None:
        self._api_client, self._request_timeout = api_client, request_timeout

    async def close(self) -> None:
        await self._api_client.close()

    def ingresses(self, namespace: str) -> ApiResource:
        from kubernetes.aio.client import NetworkingV1Api

        api = NetworkingV1Api(self._api_client)
        everywhere = api.list_ingress_for_all_namespaces_without_preload_content
        here = api.list_namespaced_ingress_without_preload_content
        return self._resource("ingresses.networking.k8s.io", _in_namespace(everywhere, here, namespace))

    def services(self, namespace: str) -> ApiResource:
        from kubernetes.aio.client import CoreV1Api

        api = CoreV1Api(self._api_client)
        everywhere = api.list_service_for_all_namespaces_without_preload_content
        here = api.list_namespaced_service_without_preload_content
        return self._resource("services", _in_namespace(everywhere, here, namespace))

    def nodes(self) -> ApiResource:
        from kubernetes.aio.client import CoreV1Api

        return self._resource("nodes", CoreV1Api(self._api_client).list_node_without_preload_content)

    def namespaces(self) -> ApiResource:
        from kubernetes.aio.client import CoreV1Api

        call = CoreV1Api(self._api_client).list_namespace_without_preload_content
        return self._resource("namespaces", call)

    def pods(self, namespace: str) -> ApiResource:
        from kubernetes.aio.client import CoreV1Api

        api = CoreV1Api(self._api_client)
        everywhere = api.list_pod_for_all_namespaces_without_preload_content
        here = api.list_namespaced_pod_without_preload_content
        return self._resource("pods", _in_namespace(everywhere, here, namespace))

    def slices(self, namespace: str) -> ApiResource:
        return self.extension(namespace, "discovery.k8s.io", "endpointslices", ("v1", "v1beta1"))

    def extension(self, namespace: str, group: str, plural: str, versions: Sequence[str]) -> ApiResource:
        """Return a kind of object of which servers have different versions, the newest first."""
        from kubernetes.aio.client import CustomObjectsApi

        api = CustomObjectsApi(self._api_client)
        everywhere = api.list_custom_object_for_all_namespaces_without_preload_content
        here = api.list_namespaced_custom_object_without_preload_content
        call = _in_namespace(everywhere, here, namespace)
        parameter = "plural" if namespace else "resource_plural"
        versioned = _Versioned(call, versions, {"group": group, parameter: plural})
        return self._resource(f"{plural}.{group}", versioned)

    def _resource(self, title: str, call: Call) -> ApiResource:
        return ApiResource(title=title, call=call, request_timeout=self._request_timeout)


def _in_namespace(everywhere: Call, here: Call, namespace: str) -> Call:
    def call(**parameters: object) -> Awaitable[Any]:
        return here(namespace=namespace, **parameters) if namespace else everywhere(**parameters)

    return call


class _Versioned:
    """Calls the newest version that a server has."""

    def __init__(self, call: Call, versions: Sequence[str], parameters: Mapping[str, str]) -> None:
        self._call, self._versions, self._parameters = call, tuple(versions), parameters

    async def __call__(self, **parameters: object) -> Any:
        for version in self._versions:
            response = await self._call(version=version, **self._parameters, **parameters)
            if response.status != 404:
                break
            if version != self._versions[-1]:
                response.close()
        return response


async def connect(*, kubeconfig: str, server: str, in_cluster: bool, request_timeout: float) -> Client:
    """Return a client. Nothing is sent yet, so the server need not be up.

    Args:
        kubeconfig: path; empty: none was named.
        server: URL that stands above the kubeconfig's; alone it is used without credentials.
        in_cluster: whether this is a Pod, whose account is taken when no kubeconfig is named.
        request_timeout: seconds for a list call.

    Raises:
        ClientError: neither says where the API is, or the kubeconfig cannot be used.
    """
    try:
        # Half a second and 50 MB that a syncer of manifests does without.
        from kubernetes.aio import client
        from kubernetes.aio import config as untyped
    except ImportError:
        raise ClientError("the package kubernetes is not installed: pip install 'etcd-dns[syncer]'") from None
    config: Any = untyped
    configuration = client.Configuration()
    # Its own lines would stand beside the one that says it all.
    logging.getLogger("kubernetes").setLevel(logging.CRITICAL)
    try:
        if in_cluster and not kubeconfig:
            config.load_incluster_config(configuration)
        elif kubeconfig or not server:
            kubeconfig = _existing(kubeconfig or config.KUBE_CONFIG_DEFAULT_LOCATION)
            await config.load_kube_config(kubeconfig, None, configuration, persist_config=False)
    except ClientError:
        raise
    except Exception as error:  # the package lets everything through: its own, YAML's, OSError, KeyError
        what = f"the kubeconfig {kubeconfig}" if kubeconfig else "the Pod's account"
        raise ClientError(f"Kubernetes: cannot use {what}: {str(error)[:200]}") from None
    if server:
        configuration.host = server.rstrip("/")
    return Client(client.ApiClient(configuration), request_timeout)


def _existing(kubeconfig: str) -> str:
    path = Path(kubeconfig).expanduser()
    if not path.is_file():
        raise ClientError(f"Kubernetes: no kubeconfig {path}; expected one, a Pod's account or --server")
    return str(path)
