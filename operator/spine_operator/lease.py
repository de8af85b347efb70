"""Leader election by a Lease, so that two operators do not refuse each other's writes.

Safety does not rest on it: the document is published by compare-and-set and deletions carry a UID.
Another holder's Lease has run out when it has not changed for its whole duration on *our* clock, so
no two clocks are compared. Source: client-go's leader election; operator.md §3.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from spine_core.errors import SpineError
from spine_operator.ports import ConflictError, Json, Kind, KubeError, KubePort, NotFoundError

logger = logging.getLogger("spine.lease")

DURATION_S = 15
RENEW_EVERY_S = 5
TRUST_S = DURATION_S * 2 / 3  # older renewals no longer prove that we hold it


class LeaseLostError(SpineError):
    """Another operator may be at work: this process has to end."""


class Lease:
    """Our claim on one Lease object. `monotonic_s` and `now_ms` are the clocks."""

    def __init__(
        self,
        kube: KubePort,
        *,
        namespace: str,
        name: str,
        identity: str,
        monotonic_s: Callable[[], float],
        now_ms: Callable[[], int],
    ) -> None:
        self._kube = kube
        self._namespace, self._name, self._identity = namespace, name, identity
        self._monotonic_s, self._now_ms = monotonic_s, now_ms
        self._renewed_s: float | None = None
        self._seen: tuple[str, float] = ("", 0.0)  # resourceVersion and when we first saw it

    def held(self) -> bool:
        """Return whether we hold the Lease and have renewed it lately."""
        return self._renewed_s is not None and self._monotonic_s() - self._renewed_s < TRUST_S

    async def renew(self) -> bool:
        """Take or renew the Lease; return whether we hold it now."""
        asked_s = self._monotonic_s()
        try:
            taken = await self._take()
        except ConflictError:
            taken = False  # somebody else was faster
        except KubeError as error:
            logger.warning("lease_unknown", extra={"error": str(error)})
            return self.held()
        self._renewed_s = asked_s if taken else None
        return taken

    async def release(self) -> None:
        """Give the Lease up, so that the next operator need not wait for it to run out."""
        self._renewed_s = None
        try:
            lease = await self._kube.get(Kind.LEASE, self._namespace, self._name)
            if lease["spec"].get("holderIdentity") == self._identity:
                await self._kube.replace({**lease, "spec": {**lease["spec"], "holderIdentity": ""}})
        except KubeError as error:
            logger.warning("lease_kept", extra={"error": str(error)})

    async def _take(self) -> bool:
        try:
            lease = await self._kube.get(Kind.LEASE, self._namespace, self._name)
        except NotFoundError:
            await self._kube.create(self._manifest({}, {"name": self._name}))
            return True
        spec = lease["spec"]
        holder = spec.get("holderIdentity")
        if holder not in ("", None, self._identity) and not self._has_run_out(lease):
            return False
        await self._kube.replace(self._manifest(spec, lease["metadata"]))
        return True

    def _has_run_out(self, lease: Json) -> bool:
        now_s, version = self._monotonic_s(), lease["metadata"]["resourceVersion"]
        if self._seen[0] != version:
            self._seen = (version, now_s)
        duration_s: float = lease["spec"].get("leaseDurationSeconds", DURATION_S)
        return now_s - self._seen[1] > duration_s

    def _manifest(self, before: Json, metadata: Json) -> dict[str, Any]:
        now = datetime.fromtimestamp(self._now_ms() / 1000, UTC)
        renewed_at = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        kept = before.get("holderIdentity") == self._identity
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {**metadata, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": DURATION_S,
                "renewTime": renewed_at,
                "acquireTime": before["acquireTime"] if kept else renewed_at,
                "leaseTransitions": before.get("leaseTransitions", -1) + (0 if kept else 1),
            },
        }
