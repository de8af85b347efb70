"""The static cluster file, and the sections of it that the operator's `config.yaml` shares.

Strict: a key that this version does not know stops the start and is named by its path, since a typing
error must not become a silent default. Source: api.md §7, operator.md §4.1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

import yaml

from spine_core import defaults
from spine_core.errors import InvalidInputError
from spine_core.fields import Fields
from spine_core.records.consistency import ORDER, SEED, Consistency, Model, Override
from spine_core.records.ids import PartitionStrategy
from spine_core.replication.quorums import majority
from spine_core.topology.document import FACTOR_MAX, VIRTUAL_NODES_MAX
from spine_core.topology.parts import check_write_quorum
from spine_core.topology.ring import VIRTUAL_NODES, Seat, Zone, ZonePolicy
from spine_core.topology.seats import placeable
from spine_node.addresses import host_and_port, is_loopback, without_brackets
from spine_node.engine.cluster.configuration import Configuration

FACTOR = 3
_SHARED = ("replication", "consistency")  # also in config.yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEntry:
    """One node of the file; its id is its seat on the ring."""

    id: Seat
    host: str
    port: int
    role: Literal["primary"]  # there is no other
    zone: Zone

    @property
    def address(self) -> str:
        """Where it answers, as `host:port`."""
        return host_and_port(self.host, self.port)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFile:
    """A cluster as its file describes it. Nodes join in the order in which they stand there.

    Invariant: `2 * write_quorum > factor`, and the zones can hold `factor` replicas.
    """

    name: str
    nodes: tuple[NodeEntry, ...]
    factor: int
    write_quorum: int
    zone_policy: ZonePolicy
    virtual_nodes: int
    strategy: PartitionStrategy
    configuration: Configuration  # what may change while nodes run
    keys: Path | None  # auth.keys, relative to the file

    @property
    def is_loopback(self) -> bool:
        """Whether the whole cluster lives on this machine."""
        return all(node.is_loopback for node in self.nodes)

    def node(self, seat: Seat) -> NodeEntry:
        """Return one node.

        Raises:
            InvalidInputError: the file does not name it.
        """
        for node in self.nodes:
            if node.id == seat:
                return node
        names = ", ".join(node.id for node in self.nodes)
        raise InvalidInputError(f"names no node {seat!r}, only {names}", path="cluster.nodes")


def load_cluster_file(path: Path) -> ClusterFile:
    """Read and check the file of a static cluster.

    Raises:
        InvalidInputError: it cannot be read, or with the path of the first field that is wrong.
    """
    root = _read(path)
    root.only("cluster")
    fields = root.inner("cluster")
    fields.only("name", "nodes", "partitioning", "auth", *_SHARED)
    replication = _section(fields, "replication")
    partitioning, auth = _section(fields, "partitioning"), _section(fields, "auth")
    partitioning.only("strategy", "virtual_nodes")
    auth.only("keys")
    nodes = tuple(_node(item) for item in fields.items("nodes"))
    factor = _whole(replication, "factor", FACTOR, 1, FACTOR_MAX)
    file = ClusterFile(
        name=fields.text("name", longest=63),
        nodes=nodes,
        factor=factor,
        write_quorum=_whole(replication, "write_quorum", majority(factor), 1, FACTOR_MAX),
        zone_policy=cast(
            "ZonePolicy", _word(replication, "zone_policy", "strict", get_args(ZonePolicy))
        ),
        virtual_nodes=_whole(partitioning, "virtual_nodes", VIRTUAL_NODES, 1, VIRTUAL_NODES_MAX),
        strategy=cast(
            "PartitionStrategy",
            _word(partitioning, "strategy", "hash", get_args(PartitionStrategy)),
        ),
        configuration=_configuration(fields),
        keys=None if auth.absent("keys") else path.parent / auth.text("keys", longest=4096),
    )
    _check(file)
    return file


def load_configuration(path: Path) -> Configuration:
    """Read what may change while a node runs, from `config.yaml` or from a cluster file.

    Raises:
        InvalidInputError: it cannot be read, or with the path of the first field that is wrong.
    """
    root = _read(path)
    if root.absent("cluster"):
        root.only(*_SHARED)
        return _configuration(root)
    return _configuration(root.inner("cluster"))


def _read(path: Path) -> Fields:
    try:
        return Fields(yaml.safe_load(path.read_text()) or {})
    except OSError as error:
        raise InvalidInputError(f"cannot be read: {error.strerror}", path=str(path)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"is no YAML: {error}", path=str(path)) from error


def _section(fields: Fields, name: str) -> Fields:
    return Fields({}, name) if fields.absent(name) else fields.inner(name)


def _whole(fields: Fields, name: str, default: int, lowest: int, highest: int) -> int:
    return default if fields.absent(name) else fields.whole(name, lowest, highest)


def _word(fields: Fields, name: str, default: str, choices: tuple[str, ...]) -> str:
    return default if fields.absent(name) else fields.one_of(name, choices)


def _node(fields: Fields) -> NodeEntry:
    fields.only("id", "host", "port", "role", "zone")
    _word(fields, "role", "primary", ("primary",))
    return NodeEntry(
        id=fields.text("id", longest=63),
        host=without_brackets(fields.text("host", longest=253)),
        port=_whole(fields, "port", defaults.PORT, 1, 65535),
        role="primary",
        zone=defaults.ZONE if fields.absent("zone") else fields.text("zone", longest=63),
    )


def _configuration(fields: Fields) -> Configuration:
    replication = _section(fields, "replication")
    replication.only("factor", "write_quorum", "read_quorum", "zone_policy")
    return Configuration(
        consistency=_consistency(_section(fields, "consistency")),
        read_quorum=_whole(replication, "read_quorum", 1, 1, FACTOR_MAX),
    )


def _consistency(fields: Fields) -> Consistency:
    fields.only("default", "overrides")
    default = Model(_word(fields, "default", SEED.default, ORDER))
    if fields.absent("overrides"):
        return Consistency(default)
    return Consistency(default, tuple(_override(item) for item in fields.items("overrides")))


def _override(fields: Fields) -> Override:
    fields.only("tags", "model")
    model = Model(fields.one_of("model", ORDER))
    return Override(frozenset(fields.texts("tags")), model)


def _check(file: ClusterFile) -> None:
    if not file.nodes:
        raise InvalidInputError("must name at least one node", path="cluster.nodes")
    path = "cluster.replication.write_quorum"
    check_write_quorum(file.write_quorum, factor=file.factor, path=path)
    if file.configuration.read_quorum > file.factor:
        message = f"must not be more than factor {file.factor}"
        raise InvalidInputError(message, path="cluster.replication.read_quorum")
    _refuse_twice("id", [node.id for node in file.nodes])
    _refuse_twice("address", [node.address for node in file.nodes])
    zones: Mapping[Seat, Zone] = {node.id: node.zone for node in file.nodes}
    if not placeable(zones, factor=file.factor, zone_policy=file.zone_policy):
        message = f"cannot hold {file.factor} replicas with zone policy {file.zone_policy}"
        raise InvalidInputError(message, path="cluster.nodes")


def _refuse_twice(what: str, values: list[str]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise InvalidInputError(f"{what} {value} stands there twice", path="cluster.nodes")
