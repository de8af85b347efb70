"""Checks every write of the operator against the fake cluster's truth, at the moment it is made.

The truth is what the stores have really adopted, not what the operator was told. What stands here are
the invariants I3, I4, I11 and I12 of operator.md §9; breaking one is an AssertionError, which nobody
in the operator catches.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from spine_core.replication.quorums import slots_without_barrier
from spine_core.topology.document import Document, Phase
from spine_core.topology.placement import Placement
from spine_core.topology.seats import ordinal_of
from spine_operator.manifests.document import DOCUMENT_KEY
from spine_operator.observe.parse import read_document
from spine_operator.ports import Json, Kind, kind_of

if TYPE_CHECKING:
    from kubedouble.fake_cluster import FakeKubeCluster


class Watchdog:
    """A `KubePort` that passes everything on to the double and distrusts every write."""

    def __init__(self, fake: "FakeKubeCluster") -> None:
        self._fake, self._kube = fake, fake.kube

    async def get(self, kind: Kind, namespace: str, name: str) -> Json:
        return await self._kube.get(kind, namespace, name)

    async def list(self, kind: Kind, namespace: str, cluster: str) -> Sequence[Json]:
        return await self._kube.list(kind, namespace, cluster)

    async def create(self, manifest: Json) -> Json:
        is_document = kind_of(manifest) is Kind.CONFIG_MAP and DOCUMENT_KEY in manifest["data"]
        if is_document and self._stored() is None:
            self._check_first(_document(manifest))
        return await self._kube.create(manifest)

    async def apply(self, manifest: Json) -> Json:
        if kind_of(manifest) is Kind.STATEFULSET:
            self._check_pods(manifest["metadata"]["name"], manifest["spec"]["replicas"])
        return await self._kube.apply(manifest)

    async def patch(self, kind: Kind, namespace: str, name: str, patch: Json) -> Json:
        live = self._fake.find(kind, name)
        current = (
            live
            and patch.get("metadata", {}).get("resourceVersion")
            == (live["metadata"]["resourceVersion"])
        )
        if kind is Kind.CONFIG_MAP and DOCUMENT_KEY in patch.get("data", {}) and current:
            self._check_next(_document(patch))
        if kind is Kind.STATEFULSET and current:
            self._check_pods(name, patch["spec"]["replicas"])
        return await self._kube.patch(kind, namespace, name, patch)

    async def patch_status(self, namespace: str, name: str, status: Json) -> None:
        await self._kube.patch_status(namespace, name, status)

    async def replace(self, manifest: Json) -> Json:
        return await self._kube.replace(manifest)

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> None:
        live = self._fake.find(kind, name)
        if kind is Kind.CLAIM and live and live["metadata"]["uid"] == uid:
            self._check_claim(uid)
        await self._kube.delete(kind, namespace, name, uid=uid)

    def _stored(self) -> Document | None:
        name = self._fake.key.topology_map
        found: Document | None = read_document(self._fake.find(Kind.CONFIG_MAP, name)).get(
            "document"
        )
        return found

    def _check_first(self, document: Document) -> None:
        assert document.epoch == 1
        joined = [store.id for store in self._fake.stores.values() if store.document]
        assert not joined, f"epoch 1 although {joined} have joined before"

    def _check_next(self, document: Document) -> None:
        stored = self._stored()
        assert stored is not None, "a patch of nothing"
        assert document.epoch == stored.epoch + 1, "I11: epochs grow by one"
        assert document.previous == stored.digest(), "I11: the chain of digests"
        assert not document.members() & stored.retired.keys(), "I12: a retired number is named"
        self._check_barrier(stored)
        if document.phase is Phase.SWITCH and stored.phase is Phase.PREPARE:
            assert self._fake.nodes.pulling, "switched before the slots were pulled"

    def _check_barrier(self, stored: Document) -> None:
        adopted = {
            store.number
            for store in self._fake.stores.values()
            if store.document == stored and store.number is not None
        }
        lacking = slots_without_barrier(Placement(stored), adopted)
        assert not lacking, f"I11: no barrier of {stored.epoch}"

    def _check_pods(self, name: str, pods: int) -> None:
        live, stored = self._fake.find(Kind.STATEFULSET, name), self._stored()
        if live is None or pods >= live["spec"]["replicas"]:
            return
        named = {*stored.current, *stored.target} if stored else set()
        for seat, store in self._fake.nodes.running.items():
            if not seat.startswith(f"{name}-") or ordinal_of(seat) < pods:
                continue
            assert seat not in named, f"I4: {seat} is cut although the document names it"
            if store.number is not None:
                assert stored is not None, "a member is cut without a document"
                assert store.id in stored.retired.values(), f"{seat} is cut before it left"
                self._check_barrier(stored)

    def _check_claim(self, uid: str) -> None:
        store, resource = self._fake.stores.get(uid), self._fake.resource
        if store is None or "deletionTimestamp" in resource["metadata"]:
            return
        documents = [one.document for one in self._fake.nodes.running.values()]
        for document in (self._stored(), *documents):
            ids = {info.id for info in document.stores.values()} if document else set()
            assert store.id not in ids, f"I3: the volume of {store.seat} goes while it is named"


def _document(manifest: Json) -> Document:
    text: Any = manifest["data"][DOCUMENT_KEY]
    return Document.from_json(json.loads(text))
