"""The one count of client requests that a node is answering."""


class InFlight:
    """Counts requests: `with in_flight:` around each. HTTP counts them, gossip and drains tell."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> None:
        self.count += 1

    def __exit__(self, *_: object) -> None:
        self.count -= 1
