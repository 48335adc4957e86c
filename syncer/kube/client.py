"""A connection to the Kubernetes API.

Of the package kubernetes the connection and the credentials alone are used. Its models refuse a whole list
for one odd object, its watch and informer repeat failed requests without a pause, and its calls by kind of
object would take 110 MB of memory.
"""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from syncer.kube.resource import ApiResource


class ClientError(Exception):
    """There is no way to reach an API: no account, no kubeconfig, or one that cannot be read."""


class Client:
    """A connection to one API server, and the kinds of object that are read."""

    def __init__(self, api_client: Any, request_timeout: float) -> None:
        self._api_client, self._request_timeout = api_client, request_timeout

    async def close(self) -> None:
        await self._api_client.close()

    def ingresses(self, namespace: str) -> ApiResource:
        return self._resource("/apis/networking.k8s.io/v1", "ingresses", namespace)

    def services(self, namespace: str) -> ApiResource:
        return self._resource("/api/v1", "services", namespace)

    def nodes(self) -> ApiResource:
        return self._resource("/api/v1", "nodes", "")

    def namespaces(self) -> ApiResource:
        return self._resource("/api/v1", "namespaces", "")

    def pods(self, namespace: str) -> ApiResource:
        return self._resource("/api/v1", "pods", namespace)

    def slices(self, namespace: str) -> ApiResource:
        return self.extension(namespace, "discovery.k8s.io", "endpointslices", ("v1", "v1beta1"))

    def extension(self, namespace: str, group: str, plural: str, versions: Sequence[str]) -> ApiResource:
        """Return a kind of object of which servers have different versions, the newest first."""
        roots = [f"/apis/{group}/{version}" for version in versions]
        paths = [_path(root, plural, namespace) for root in roots]
        get = partial(self._get_first, paths)
        return ApiResource(title=f"{plural}.{group}", get=get, request_timeout=self._request_timeout)

    def _resource(self, root: str, plural: str, namespace: str) -> ApiResource:
        group = root.removeprefix("/apis/").partition("/")[0] if root.startswith("/apis/") else ""
        title = f"{plural}.{group}" if group else plural
        get = partial(self._get_first, [_path(root, plural, namespace)])
        return ApiResource(title=title, get=get, request_timeout=self._request_timeout)

    async def _get_first(self, paths: Sequence[str], query: Mapping[str, str], seconds: float) -> Any:
        """Return the response for the first path that the server has."""
        for path in paths:
            response = await self.request("GET", path, seconds, query=query)
            if response.status != 404:
                break
            if path != paths[-1]:
                response.close()
        return response

    async def request(
        self,
        method: str,
        path: str,
        seconds: float,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
    ) -> Any:
        """Make a request and return aiohttp's response, unread; what goes wrong is aiohttp's to raise."""
        parameters = await self._api_client.param_serialize(
            method=method,
            resource_path=path,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json", "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        sent = await self._api_client.call_api(*parameters, _preload_content=False, _request_timeout=seconds)
        return sent.response


def _path(root: str, plural: str, namespace: str) -> str:
    return f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"


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
        # Half a second and 30 MB that a syncer of manifests does without.
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
