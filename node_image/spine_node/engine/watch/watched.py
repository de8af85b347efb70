"""Which namespaces a watch is about, leases among them."""

import msgspec

from spine_node.ports import lease_owner
from spine_node.search.readers import is_listed


class Watched(msgspec.Struct, array_like=True, frozen=True):
    """A namespace, or it and what lies below; records, leases, or both."""

    namespace: str
    subtree: bool
    records: bool
    leases: bool

    def covers(self, namespace: str) -> bool:
        """Return whether a change in a namespace may be an event."""
        owner = lease_owner(namespace)
        if not (self.records if owner is None else self.leases):
            return False
        return is_listed(owner or namespace, self.namespace, subtree=self.subtree)
