"""Values that node, operator and command line must agree on when nobody says otherwise."""

from typing import Final

PORT: Final = 8788  # of a node: clients, peers and the operator knock at the same one
ZONE: Final = "default"  # the one zone of a cluster that lists none
