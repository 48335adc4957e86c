"""One face for the three Kubernetes APIs a test may meet, so that one test runs on each of them."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

import aiohttp

from tests.integration.fake_kube import RESOURCES, FakeKube, Object, Resource
from tests.integration.kube_apiserver import KUBECONFIG, ApiServer
from tests.integration.tools import need_tool

REAL_ONLY = (
    Resource("namespaces", "Namespace", "v1", namespaced=False),
    Resource("serviceaccounts", "ServiceAccount", "v1"),
    Resource("clusterroles", "ClusterRole", "rbac.authorization.k8s.io/v1", namespaced=False),
    Resource("clusterrolebindings", "ClusterRoleBinding", "rbac.authorization.k8s.io/v1", namespaced=False),
)


class AlreadyThere(Exception):
    """The object to create exists."""


class KubeApi(Protocol):
    kind: Literal["cluster", "apiserver", "fake"]
    url: str
    """Where a client with `token` is the administrator."""
    token: str
    """"" where none is needed."""
    kubeconfig: Path
    """The same for a program: server and administrator."""
    namespace: str
    """The test's own."""

    async def apply(self, obj: Object) -> Object:
        """Create or change; status is left alone. Without a namespace it goes to the test's own."""
        ...

    async def set_status(self, obj: Object, status: Object) -> None:
        """Merge `status` into that of an object that is there; of `obj` only its identity counts."""
        ...

    async def delete(self, kind: str, namespace: str, name: str) -> None: ...

    async def events(self) -> list[Object]:
        """Return the Events of the test's own namespace."""
        ...


class FakeKubeApi:
    """In process; `fake` is there for its faults."""

    kind: Literal["fake"] = "fake"
    token = ""

    def __init__(self, fake: FakeKube, directory: Path) -> None:
        self.fake = fake
        self.url = fake.url
        self.namespace = "default"
        self.kubeconfig = directory / "kubeconfig"
        self.kubeconfig.write_text(KUBECONFIG.format(url=self.url, ca="", token=self.token))

    async def apply(self, obj: Object) -> Object:
        metadata = {"namespace": self.namespace} | obj["metadata"]
        if obj["kind"] == "Node":
            metadata.pop("namespace")
        before = self.fake.get(obj["kind"], metadata.get("namespace", ""), metadata["name"]) or {}
        kept = {"status": before["status"]} if "status" in before else {}
        return self.fake.put({k: v for k, v in obj.items() if k != "status"} | {"metadata": metadata} | kept)

    async def set_status(self, obj: Object, status: Object) -> None:
        metadata = obj["metadata"]
        namespace = "" if obj["kind"] == "Node" else metadata.get("namespace", self.namespace)
        stored = self.fake.get(obj["kind"], namespace, metadata["name"])
        assert stored is not None, f"no {obj['kind']} {namespace}/{metadata['name']}"
        self.fake.put(stored | {"status": stored.get("status", {}) | status})

    async def delete(self, kind: str, namespace: str, name: str) -> None:
        self.fake.delete(kind, namespace, name)

    async def events(self) -> list[Object]:
        return [event for (namespace, _), event in self.fake.events.items() if namespace == self.namespace]


class HttpKubeApi:
    """A real API server; what a test applied is deleted when it ends."""

    def __init__(
        self,
        kind: Literal["cluster", "apiserver"],
        url: str,
        token: str,
        kubeconfig: Path,
        http: aiohttp.ClientSession,
        server: ApiServer | None = None,
    ) -> None:
        self.kind = kind
        self.url = url
        self.token = token
        self.kubeconfig = kubeconfig
        self.namespace = f"test-{uuid.uuid4().hex[:8]}"
        self.server = server
        """The process behind it, for its kubeconfig() and kill(); a cluster has none."""
        self._http = http
        self._applied: dict[tuple[str, str, str], None] = {}

    async def apply(self, obj: Object) -> Object:
        url, namespace = self._address(obj["kind"], obj["metadata"])
        # Not a server-side apply: Kubernetes 1.20 refuses one of a port without a protocol.
        try:
            stored = await self._send("POST", url.rpartition("/")[0], obj, "application/json")
        except AlreadyThere:
            stored = await self._send("PATCH", url, obj, "application/merge-patch+json")
        self._applied[obj["kind"], namespace, obj["metadata"]["name"]] = None
        return stored

    async def set_status(self, obj: Object, status: Object) -> None:
        url, _ = self._address(obj["kind"], obj["metadata"])
        await self._send("PATCH", f"{url}/status", {"status": status}, "application/merge-patch+json")

    async def delete(self, kind: str, namespace: str, name: str) -> None:
        url, _ = self._address(kind, {"namespace": namespace, "name": name})
        await self._send("DELETE", url, None, "application/json")
        self._applied.pop((kind, namespace, name), None)

    async def events(self) -> list[Object]:
        url = f"{self.url}/api/v1/namespaces/{self.namespace}/events"
        found: list[Object] = (await self._send("GET", url, None, "application/json"))["items"]
        return found

    async def token_of(self, namespace: str, service_account: str) -> str:
        """Return a fresh token of a service account that is there."""
        url, _ = self._address("ServiceAccount", {"namespace": namespace, "name": service_account})
        asked = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": {}}
        issued = await self._send("POST", f"{url}/token", asked, "application/json")
        token: str = issued["status"]["token"]
        return token

    async def forget_applied(self) -> None:
        for kind, namespace, name in reversed(list(self._applied)):
            await self.delete(kind, namespace, name)

    def _address(self, kind: str, metadata: Object) -> tuple[str, str]:
        resource = next(r for r in (*RESOURCES, *REAL_ONLY) if r.kind == kind)
        namespace = metadata.get("namespace", self.namespace) if resource.namespaced else ""
        within = f"/namespaces/{namespace}" if namespace else ""
        return f"{self.url}{resource.root}{within}/{resource.plural}/{metadata['name']}", namespace

    async def _send(self, method: str, url: str, body: Object | None, content: str) -> Any:
        data = None if body is None else json.dumps(body)
        async with self._http.request(method, url, data=data, headers={"Content-Type": content}) as response:
            answer = await response.json()
            if response.status == 409 and answer.get("reason") == "AlreadyExists":
                raise AlreadyThere
            assert response.status < 300, f"{method} {url}: {response.status} {answer.get('message')}"
            return answer


@asynccontextmanager
async def http_kube_api(
    kind: Literal["cluster", "apiserver"],
    url: str,
    kubeconfig: Path,
    *,
    token: str = "",
    trust: Any = True,
    server: ApiServer | None = None,
) -> AsyncIterator[HttpKubeApi]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connector = aiohttp.TCPConnector(ssl=trust)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as http:
        api = HttpKubeApi(kind, url, token, kubeconfig, http, server)
        await api.apply({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": api.namespace}})
        try:
            yield api
        finally:
            await api.forget_applied()


@asynccontextmanager
async def kubectl_proxy(kubeconfig: Path) -> AsyncIterator[str]:
    """Yield the loopback URL where kubectl answers as the user of `kubeconfig`, client certificate or not."""
    process = await asyncio.create_subprocess_exec(
        need_tool("kubectl"),
        *(f"--kubeconfig={kubeconfig}", "proxy", "--port=0"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        said = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()  # ... on 127.0.0.1:PORT
        yield f"http://{said.split()[-1]}"
    finally:
        process.terminate()
        await process.wait()
