"""Everything that one reconcile pass knows, read afresh and frozen. Pure data.

What could not be read is not in here as an absence: a failed read of Kubernetes ends the pass, a
silent node is a report of None, an unreadable document is `document_trouble`. The status of the
custom resource is not in here at all, so no decision can come from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from spine_core.planning.observed_stores import ObservedStores, Reports
from spine_core.topology.document import Document, Seat, Zone
from spine_core.topology.placement import Placement
from spine_operator.manifests.children import ChildKey
from spine_operator.ports import Json
from spine_operator.resource.spec import ClusterResource
from spine_operator.secrets import SecretValues


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneSet:
    """The StatefulSet of a zone. `live` is the object as read."""

    name: str
    uid: str
    version: str  # resourceVersion
    pods: int  # asked for
    revision: str  # of the template
    claim_size: str  # of the claim template, which never changes
    live: Json = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod that exists. `trouble` is why its container does not run, as Kubernetes puts it."""

    uid: str
    zone: Zone
    revision: str
    ready: bool
    terminating: bool
    host: str | None = None  # the Kubernetes node it runs on
    trouble: str = ""
    unscheduled_ms: int | None = None  # since when the scheduler has found no host


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The volume claim of a seat."""

    name: str
    uid: str
    zone: Zone
    size: str  # requested
    store_id: str | None = None  # that a document has named
    delete_after_s: int | None = None  # since 1970
    terminating: bool = False


@dataclass(frozen=True, kw_only=True)
class Observed:
    """One observation of a cluster. Times are ms since 1970. What follows from it is worked out once."""

    now_ms: int
    fresh_id: str  # a UUID nobody has used, for a cluster that begins now
    cluster: ClusterResource
    image: str
    refused: tuple[str, ...] = ()  # fields that this operator does not implement, with the reason
    taken: tuple[str, ...] = ()  # names of our children that belong to somebody else
    document: Document | None = None  # None: Kubernetes says that there is none
    document_version: str | None = None  # resourceVersion
    document_trouble: str | None = None  # why the stored document cannot be read
    published_ms: int | None = None
    sets: Mapping[Zone, ZoneSet] = field(default_factory=dict)
    pods: Mapping[Seat, Pod] = field(default_factory=dict)
    claims: Mapping[Seat, Claim] = field(default_factory=dict)
    reports: Reports = field(default_factory=dict)
    children: Mapping[ChildKey, Json] = field(default_factory=dict, repr=False)  # that exist
    secrets: SecretValues = field(default_factory=dict, repr=False)
    expiry_ms: Mapping[str, int] = field(default_factory=dict)  # purpose → end of the certificate
    certificate_trouble: str | None = None

    @cached_property
    def placement(self) -> Placement:
        """Where the document puts the slots; asked only when there is one."""
        assert self.document is not None, "no document, no placement"
        return Placement(self.document)

    @cached_property
    def stores(self) -> ObservedStores:
        """The document's stores as the reports show them; asked only when there is one."""
        assert self.document is not None, "no document, no stores"
        return ObservedStores(self.document, self.reports)
