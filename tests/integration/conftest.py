import os
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.integration.fake_kube import FakeKube
from tests.integration.kube_api import FakeKubeApi, KubeApi, http_kube_api, kubectl_proxy
from tests.integration.kube_apiserver import ApiServer
from tests.integration.kustomize import MANIFESTS
from tests.integration.tools import all_tools_required, find_tool, miss_tool, need_tool


@pytest.fixture(scope="session")
def kube_server() -> Iterator[ApiServer]:
    """A kube-apiserver that all tests share; one that kills it starts it again."""
    need_tool("etcd")
    need_tool("kube-apiserver")
    with ApiServer() as server:
        yield server


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What config/kubernetes/certificates.sh makes."""
    need_tool("openssl")
    need_tool("kubectl")
    directory = tmp_path_factory.mktemp("certificates")
    subprocess.run([MANIFESTS / "certificates.sh", directory], check=True, timeout=60)
    return directory


@pytest.fixture
async def kube_api(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[KubeApi]:
    """The most real Kubernetes API there is, as envtest chooses it.

    USE_EXISTING_CLUSTER=true takes the cluster of KUBECONFIG; else the kube-apiserver of
    TEST_ASSET_KUBE_APISERVER, KUBEBUILDER_ASSETS or PATH; else, unless all tools are required, the fake.
    """
    if os.environ.get("USE_EXISTING_CLUSTER", "").lower() == "true":
        kubeconfig = Path(os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config")
        async with kubectl_proxy(kubeconfig) as url, http_kube_api("cluster", url, kubeconfig) as api:
            yield api
    elif find_tool("kube-apiserver"):
        server: ApiServer = request.getfixturevalue("kube_server")
        trust = ssl.create_default_context(cafile=server.ca_file)
        async with http_kube_api(
            "apiserver", server.url, server.kubeconfig(), token=server.token, trust=trust, server=server
        ) as api:
            yield api
    elif all_tools_required():
        miss_tool("kube-apiserver")
    else:
        async with FakeKube() as fake:
            yield FakeKubeApi(fake, tmp_path)
