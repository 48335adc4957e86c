"""The syncer's account, as config/kubernetes makes it."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.integration.kube_api import HttpKubeApi
from tests.integration.kustomize import of_kind, render


async def shipped_account(api: HttpKubeApi) -> tuple[Callable[[], Awaitable[object]], Path]:
    """Make it in the test's own namespace.

    Returns what grants it the shipped rights, and its kubeconfig; before the grant it may nothing.
    """
    if api.server is None:
        pytest.skip("the kubeconfig of another account is not known for a cluster")
    objects = render("base")
    [account] = of_kind(objects, "ServiceAccount").values()
    [role] = of_kind(objects, "ClusterRole").values()
    [binding] = of_kind(objects, "ClusterRoleBinding").values()
    name = f"{role['metadata']['name']}-{api.namespace}"
    own = {"metadata": {"name": name}}
    user = account["metadata"]["name"]
    await api.apply(account | {"metadata": {"name": user}})
    await api.apply(role | own)
    binding = binding | own | {"roleRef": binding["roleRef"] | {"name": name}}
    binding |= {"subjects": [subject | {"namespace": api.namespace} for subject in binding["subjects"]]}

    async def bind() -> None:
        await api.apply(binding)

    return bind, api.server.kubeconfig(await api.token_of(api.namespace, user))
