"""The adapter keeps the promises of the port on a real API server."""

from collections.abc import AsyncIterator

import pytest

from contract.kube_port import KubePortContract, cluster
from localkube.controlplane import ControlPlane
from spine_operator.kube import Kube, load_configuration
from spine_operator.ports import Kind, RefusedError


class TestKube(KubePortContract):
    @pytest.fixture
    async def kube(self, control_plane: ControlPlane) -> AsyncIterator[Kube]:
        environment = {"KUBECONFIG": str(control_plane.kubeconfig)}
        async with Kube(await load_configuration(environment)) as kube:
            yield kube

    async def test_a_broken_object_is_refused(self, kube: Kube, namespace: str) -> None:
        broken = cluster(namespace)
        broken["spec"]["replicas"] = 0
        with pytest.raises(RefusedError):
            await kube.create(broken)
        assert await kube.list(Kind.CLUSTER, namespace, "one") == []
