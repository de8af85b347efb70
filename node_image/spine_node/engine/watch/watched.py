"""Which namespaces a watch is about, leases among them."""

from typing import Final

import msgspec

LEASES: Final = "._leases"  # the server's own label: leases of a namespace lie below it
_SERVER_LABEL: Final = "._"


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
        base = namespace if owner is None else owner
        if base == self.namespace:
            return True
        below = self.subtree and base.startswith(self.namespace + ".")
        return below and _SERVER_LABEL not in base[len(self.namespace) :]


def lease_owner(namespace: str) -> str | None:
    """Return the namespace whose leases lie in this one, None where none do."""
    return namespace.removesuffix(LEASES) if namespace.endswith(LEASES) else None
