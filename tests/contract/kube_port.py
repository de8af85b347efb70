"""What the operator relies on when it talks to Kubernetes: one suite for the double and the real adapter.

A subclass brings the fixtures `kube` (a KubePort) and `namespace` (an empty one that exists). A
behaviour that no test here states may not be relied on.
"""

from typing import Any

import pytest

from spine_operator.naming import CLUSTER_LABEL
from spine_operator.ports import ConflictError, Kind, KubePort, NotFoundError, RefusedError

Object = dict[str, Any]


def config_map(namespace: str, name: str = "one", **metadata: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "data": {"a": "1"},
    }


def lease(namespace: str) -> Object:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "one", "namespace": namespace},
        "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15},
    }


def cluster(namespace: str) -> Object:
    return {
        "apiVersion": "memoryspine.io/v1alpha1",
        "kind": "MemorySpineCluster",
        "metadata": {"name": "one", "namespace": namespace},
        "spec": {"version": "1.0.0", "storage": {"size": "1Gi"}},
    }


class KubePortContract:
    """The promises."""

    async def test_what_is_not_there_is_not_found(self, kube: KubePort, namespace: str) -> None:
        with pytest.raises(NotFoundError):
            await kube.get(Kind.CONFIG_MAP, namespace, "none")
        with pytest.raises(NotFoundError):
            await kube.patch(Kind.CONFIG_MAP, namespace, "none", {"data": {"a": "2"}})
        with pytest.raises(NotFoundError):
            await kube.delete(Kind.CONFIG_MAP, namespace, "none", uid="0")

    async def test_a_name_is_created_once(self, kube: KubePort, namespace: str) -> None:
        first = await kube.create(config_map(namespace))
        with pytest.raises(ConflictError):
            await kube.create({**config_map(namespace), "data": {"a": "2"}})
        assert await kube.get(Kind.CONFIG_MAP, namespace, "one") == first

    async def test_a_list_holds_what_was_just_written_and_names_its_kind(
        self, kube: KubePort, namespace: str
    ) -> None:
        await kube.create(config_map(namespace, labels={CLUSTER_LABEL: "spine"}))
        await kube.create(config_map(namespace, "two", labels={CLUSTER_LABEL: "other"}))
        await kube.create(config_map(namespace, "three"))
        listed = await kube.list(Kind.CONFIG_MAP, namespace, "spine")
        assert [item["metadata"]["name"] for item in listed] == ["one"]
        assert {(item["apiVersion"], item["kind"]) for item in listed} == {("v1", "ConfigMap")}

    async def test_applying_the_same_again_changes_nothing(
        self, kube: KubePort, namespace: str
    ) -> None:
        await kube.apply(config_map(namespace))
        first = await kube.get(Kind.CONFIG_MAP, namespace, "one")
        await kube.apply(config_map(namespace))
        second = await kube.get(Kind.CONFIG_MAP, namespace, "one")
        assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]

    async def test_applying_takes_away_what_we_no_longer_say_and_keeps_what_others_say(
        self, kube: KubePort, namespace: str
    ) -> None:
        await kube.apply({**config_map(namespace), "data": {"a": "1", "b": "1"}})
        await kube.patch(Kind.CONFIG_MAP, namespace, "one", {"data": {"theirs": "1"}})
        await kube.apply(config_map(namespace))
        live = await kube.get(Kind.CONFIG_MAP, namespace, "one")
        assert live["data"] == {"a": "1", "theirs": "1"}

    async def test_applying_over_a_change_by_others_takes_the_field_back(
        self, kube: KubePort, namespace: str
    ) -> None:
        await kube.apply(config_map(namespace))
        await kube.patch(Kind.CONFIG_MAP, namespace, "one", {"data": {"a": "theirs"}})
        await kube.apply(config_map(namespace))
        assert (await kube.get(Kind.CONFIG_MAP, namespace, "one"))["data"] == {"a": "1"}

    async def test_applying_to_an_older_version_is_a_conflict(
        self, kube: KubePort, namespace: str
    ) -> None:
        old = await kube.apply(config_map(namespace))
        await kube.patch(Kind.CONFIG_MAP, namespace, "one", {"data": {"b": "2"}})
        stale = config_map(namespace, resourceVersion=old["metadata"]["resourceVersion"])
        with pytest.raises(ConflictError):
            await kube.apply({**stale, "data": {"a": "3"}})
        assert (await kube.get(Kind.CONFIG_MAP, namespace, "one"))["data"]["a"] == "1"

    async def test_a_patch_of_an_older_version_is_a_conflict(
        self, kube: KubePort, namespace: str
    ) -> None:
        old = await kube.create(config_map(namespace))
        version = {"resourceVersion": old["metadata"]["resourceVersion"]}
        await kube.patch(
            Kind.CONFIG_MAP, namespace, "one", {"metadata": version, "data": {"a": "2"}}
        )
        with pytest.raises(ConflictError):
            await kube.patch(
                Kind.CONFIG_MAP, namespace, "one", {"metadata": version, "data": {"a": "3"}}
            )
        assert (await kube.get(Kind.CONFIG_MAP, namespace, "one"))["data"] == {"a": "2"}

    async def test_a_patch_for_another_object_of_that_name_is_refused(
        self, kube: KubePort, namespace: str
    ) -> None:
        await kube.create(config_map(namespace))
        other = {"metadata": {"uid": "00000000-0000-4000-8000-ffffffffffff"}, "data": {"a": "2"}}
        with pytest.raises(RefusedError):
            await kube.patch(Kind.CONFIG_MAP, namespace, "one", other)
        assert (await kube.get(Kind.CONFIG_MAP, namespace, "one"))["data"] == {"a": "1"}

    async def test_a_patch_with_none_takes_a_field_away(
        self, kube: KubePort, namespace: str
    ) -> None:
        await kube.create({**config_map(namespace), "data": {"a": "1", "b": "1"}})
        await kube.patch(Kind.CONFIG_MAP, namespace, "one", {"data": {"b": None}})
        assert (await kube.get(Kind.CONFIG_MAP, namespace, "one"))["data"] == {"a": "1"}

    async def test_only_the_object_with_this_uid_is_deleted(
        self, kube: KubePort, namespace: str
    ) -> None:
        live = await kube.create(config_map(namespace))
        with pytest.raises(ConflictError):
            await kube.delete(
                Kind.CONFIG_MAP, namespace, "one", uid="00000000-0000-4000-8000-ffffffffffff"
            )
        await kube.delete(Kind.CONFIG_MAP, namespace, "one", uid=live["metadata"]["uid"])
        with pytest.raises(NotFoundError):
            await kube.get(Kind.CONFIG_MAP, namespace, "one")

    async def test_a_finalizer_holds_an_object_until_it_is_taken_off(
        self, kube: KubePort, namespace: str
    ) -> None:
        held = config_map(namespace, finalizers=["memoryspine.io/finalizer"])
        live = await kube.create(held)
        await kube.delete(Kind.CONFIG_MAP, namespace, "one", uid=live["metadata"]["uid"])
        live = await kube.get(Kind.CONFIG_MAP, namespace, "one")
        assert live["metadata"]["deletionTimestamp"]
        version = live["metadata"]["resourceVersion"]
        patch = {"metadata": {"resourceVersion": version, "finalizers": []}}
        await kube.patch(Kind.CONFIG_MAP, namespace, "one", patch)
        with pytest.raises(NotFoundError):
            await kube.get(Kind.CONFIG_MAP, namespace, "one")

    async def test_replacing_an_older_version_is_a_conflict(
        self, kube: KubePort, namespace: str
    ) -> None:
        old = await kube.create(lease(namespace))
        taken = {**old, "spec": {**old["spec"], "holderIdentity": "b"}}
        await kube.replace(taken)
        with pytest.raises(ConflictError):
            await kube.replace({**taken, "spec": {**old["spec"], "holderIdentity": "c"}})
        live = await kube.get(Kind.LEASE, namespace, "one")
        assert live["spec"]["holderIdentity"] == "b"

    async def test_status_is_patched_apart_from_the_spec(
        self, kube: KubePort, namespace: str
    ) -> None:
        before = await kube.create(cluster(namespace))
        await kube.patch_status(namespace, "one", {"replicas": 1, "readyReplicas": 1})
        await kube.patch_status(namespace, "one", {"replicas": 2, "readyReplicas": None})
        after = await kube.get(Kind.CLUSTER, namespace, "one")
        assert after["status"] == {"replicas": 2}
        assert after["metadata"]["generation"] == before["metadata"]["generation"]
        assert after["spec"] == before["spec"]

    async def test_a_changed_spec_is_a_new_generation(self, kube: KubePort, namespace: str) -> None:
        before = await kube.create(cluster(namespace))
        await kube.patch(Kind.CLUSTER, namespace, "one", {"spec": {"replicas": 5}})
        after = await kube.get(Kind.CLUSTER, namespace, "one")
        assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1
