"""The client imports nothing of ours, so it repeats the port at which a node listens."""

from memory_spine.config import DEFAULT_URL
from spine_core import defaults


def test_the_client_knocks_where_a_node_listens() -> None:
    assert DEFAULT_URL.endswith(f":{defaults.PORT}")
