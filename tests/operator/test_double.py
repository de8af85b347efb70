"""The double keeps the promises of the port."""

import pytest

from contract.kube_port import KubePortContract
from kubedouble.double import KubeDouble


class TestKubeDouble(KubePortContract):
    @pytest.fixture
    def kube(self) -> KubeDouble:
        return KubeDouble()

    @pytest.fixture
    def namespace(self) -> str:
        return "agents"
