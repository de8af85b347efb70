"""The settings of one node process: flags before environment, read once and frozen.

What may change while it runs is not here: configuration, keys, secrets and certificates are files
that are read again (operator.md §4.1); this holds their paths.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from spine_core.errors import InvalidInputError
from spine_core.records.ids import PartitionStrategy
from spine_core.scalars import HOME_REGION, REGION_MAX, check_region
from spine_node.addresses import without_brackets

Choice = TypeVar("Choice", bound=str)
Mode = Literal["single", "static", "managed"]
DEFAULT_DATA = "./spine-data"
GIB = 1024**3
HELP = """\
  SPINE_DATA                 directory of the store [./spine-data]
  SPINE_HOST, SPINE_PORT     address to bind [127.0.0.1, 8788]; port 0 takes a free one
  SPINE_KEYS                 file of API keys; needed when others than this machine may come
  SPINE_AUTH                 none: let everybody in, also from outside
  SPINE_TLS                  directory with tls.crt, tls.key and ca.crt
  SPINE_LOG_LEVEL            DEBUG, INFO, WARNING or ERROR [INFO]

one of a static cluster:
  SPINE_CLUSTER, SPINE_NODE  file of the cluster, id of this node in it

under the operator, which sets them:
  SPINE_SEAT, SPINE_CLUSTER_NAME, SPINE_CONFIG_FILE, SPINE_CLUSTER_SECRET_FILE,
  SPINE_ADMIN_TOKEN_FILE, SPINE_KEYS_FILE, SPINE_TLS_DIR

and for a person who knows: SPINE_PARTITION_STRATEGY, SPINE_QUOTA_BYTES, SPINE_PULL_BYTES_PER_S,
SPINE_DROP_AFTER_S, SPINE_SHUTDOWN_S, SPINE_REGION_NUMBER. docs/reference/settings.md has them all.

`spine serve --help` shows the flags of a node on your own machine.
"""
_FLAGS = ("data", "port", "host", "keys", "auth", "cluster", "node", "tls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `spine serve` and the image were told.

    Mode `single`: nothing configured. `static`: a cluster file and a node of it. `managed`: a seat
    given by the operator, which brings the topology document.
    """

    mode: Mode
    data: Path
    host: str | None  # None: 127.0.0.1, or what the cluster file says
    port: int | None  # 0 takes a free one
    keys: Path | None
    auth: Literal["none", "unset"]
    cluster: Path | None
    node: str | None  # the seat
    tls: Path | None
    cluster_name: str
    config: Path | None
    cluster_secret: Path | None
    admin_token: Path | None
    strategy: PartitionStrategy
    quota_bytes: int  # of the store; client writes are refused from 90 % on
    pull_bytes_per_s: int
    drop_after_s: int  # a lost slot is kept so long after the change
    shutdown_s: float  # between readiness off and the end of work, so that load balancers notice
    log_level: str

    @classmethod
    def load(cls, flags: Mapping[str, str | None], environ: Mapping[str, str]) -> "Settings":
        """Merge flags and environment.

        Raises:
            InvalidInputError: a value is not possible; the message says which and what would be.
        """
        given = {f"SPINE_{n.upper()}": flags[n] for n in _FLAGS if flags.get(n) is not None}
        reader = _Reader({"SPINE_CLUSTER": "", **environ, **given})
        node = reader.text("SPINE_NODE") or reader.text("SPINE_SEAT")
        reader.check_region("SPINE_REGION_NUMBER")
        return cls(
            mode=reader.mode(node),
            data=Path(reader.text("SPINE_DATA") or DEFAULT_DATA),
            host=reader.host("SPINE_HOST"),
            port=reader.whole("SPINE_PORT", None, 0, 65535),
            keys=reader.path("SPINE_KEYS") or reader.path("SPINE_KEYS_FILE"),
            auth=reader.choice("SPINE_AUTH", ("unset", "none")),
            cluster=reader.path("SPINE_CLUSTER"),
            node=node,
            tls=reader.path("SPINE_TLS") or reader.path("SPINE_TLS_DIR"),
            cluster_name=reader.text("SPINE_CLUSTER_NAME") or "spine",
            config=reader.path("SPINE_CONFIG_FILE"),
            cluster_secret=reader.path("SPINE_CLUSTER_SECRET_FILE"),
            admin_token=reader.path("SPINE_ADMIN_TOKEN_FILE"),
            strategy=reader.choice("SPINE_PARTITION_STRATEGY", ("hash", "agent", "tag")),
            quota_bytes=reader.whole("SPINE_QUOTA_BYTES", 64 * GIB, 1024**2, 2**50) or 0,
            pull_bytes_per_s=reader.whole("SPINE_PULL_BYTES_PER_S", 32 * 1024**2, 1024, 2**40) or 0,
            drop_after_s=reader.whole("SPINE_DROP_AFTER_S", 3600, 0, 10**9) or 0,
            shutdown_s=float(reader.whole("SPINE_SHUTDOWN_S", 5, 0, 600) or 0),
            log_level=reader.choice("SPINE_LOG_LEVEL", ("INFO", "DEBUG", "WARNING", "ERROR")),
        )


class _Reader:
    """Typed look-ups in merged text values; the first choice is the default."""

    def __init__(self, values: Mapping[str, str | None]) -> None:
        self._values = values

    def text(self, name: str) -> str | None:
        return self._values.get(name) or None

    def host(self, name: str) -> str | None:
        """Return an address to bind; URLs write IPv6 in brackets, sockets take it without."""
        text = self.text(name)
        return None if text is None else without_brackets(text)

    def path(self, name: str) -> Path | None:
        text = self.text(name)
        return Path(text) if text else None

    def whole(self, name: str, default: int | None, lowest: int, highest: int) -> int | None:
        text = self.text(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or not lowest <= int(text) <= highest:
            raise InvalidInputError(f"must be a whole number {lowest}..{highest}", path=name)
        return int(text)

    def check_region(self, name: str) -> None:
        check_region(self.whole(name, HOME_REGION, 0, REGION_MAX) or HOME_REGION, path=name)

    def choice(self, name: str, choices: tuple[Choice, ...]) -> Choice:
        text = self.text(name) or choices[0]
        for choice in choices:
            if text == choice:
                return choice
        raise InvalidInputError(f"must be one of {', '.join(choices)}", path=name)

    def mode(self, node: str | None) -> Mode:
        if self.text("SPINE_CLUSTER"):
            if node is None:
                raise InvalidInputError("--cluster needs --node, the id of this node in the file")
            return "static"
        if node is not None and self.text("SPINE_ADMIN_TOKEN_FILE") is None:
            raise InvalidInputError("--node needs --cluster, the file that names the nodes")
        return "managed" if node is not None else "single"
