"""The three ways a node learns who it is: alone, from a cluster file, from the operator.

Everything after this is the same node (architecture.md, "Four ways to run the same node").
"""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from spine_core import defaults
from spine_core.errors import InvalidInputError
from spine_core.planning.reports import Report
from spine_core.planning.wanted import SeatAddress, Wanted
from spine_core.records.ids import PartitionStrategy
from spine_node.cluster_file import ClusterFile, load_cluster_file, load_configuration
from spine_node.cluster_secret import (
    ENTROPY_BYTES,
    admin_token,
    load_or_make_secret,
    load_secrets,
    make_secret,
    secret_path,
)
from spine_node.data_directory import INDEX_FILE, SECRET_FILE, claim_directory, close_to_others
from spine_node.engine.cluster.configuration import Configuration, LiveConfiguration
from spine_node.engine.cluster.secrets import Secrets
from spine_node.engine.node import NodeOptions
from spine_node.links.admin import fetch_reports
from spine_node.links.tls import TlsContexts
from spine_node.settings import Settings
from spine_node.startup import ALONE, Ask, nobody_else

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a mode makes of the settings."""

    options: NodeOptions
    host: str
    port: int
    keys: Path | None
    shutdown_s: float
    bootstrap: tuple[Wanted, Ask] | None  # whether this node may make the first document


def set_up(settings: Settings) -> Setup:
    """Read the files of a mode.

    Raises:
        InvalidInputError: one is missing or wrong; the message names it and the cure.
    """
    claim_directory(settings.data, mounted=settings.mode == "managed")
    _close_files(settings)
    if settings.mode == "static":
        return _static(settings)
    return _managed(settings) if settings.mode == "managed" else _single(settings)


def _close_files(settings: Settings) -> None:
    """Look at the modes of files outside of the data directory: what is secret, and who gets in."""
    mounted = settings.mode == "managed"
    secrets = [
        secret_path(settings.cluster) if settings.cluster else None,
        settings.tls / "tls.key" if settings.tls else None,
        settings.cluster_secret,
        settings.admin_token,
    ]
    for path in secrets:
        if path is not None and path.exists():
            close_to_others(path, may_stay=mounted)
    if settings.keys is not None and settings.keys.exists():
        close_to_others(settings.keys, stat.S_IWOTH, may_stay=mounted)  # holds no secret


def _single(settings: Settings) -> Setup:
    secret = settings.data / SECRET_FILE
    if not secret.exists():
        make_secret(secret, os.urandom(ENTROPY_BYTES))
    return Setup(
        options=_options(
            settings,
            who=(ALONE.name, next(iter(ALONE.seats))),
            secrets=Secrets(load_secrets(secret)),
            configuration=LiveConfiguration(Configuration),
            tls=TlsContexts.load(settings.tls) if settings.tls else None,
        ),
        host=settings.host or LOOPBACK,
        port=defaults.PORT if settings.port is None else settings.port,
        keys=settings.keys,
        shutdown_s=0.0,
        bootstrap=(ALONE, nobody_else),
    )


def _static(settings: Settings) -> Setup:
    assert settings.cluster is not None
    assert settings.node is not None
    file = load_cluster_file(settings.cluster)
    me = file.node(settings.node)
    known = load_or_make_secret(settings.cluster, file, os.urandom(ENTROPY_BYTES))
    secrets = Secrets(known, tuple(admin_token(secret) for secret in known))
    tls = TlsContexts.load(settings.tls) if settings.tls else None
    configuration_path = settings.config or settings.cluster
    others = {node.id: node.address for node in file.nodes if node.id != me.id}

    async def ask_others() -> Mapping[str, Report | None]:
        token = secrets.admin_tokens()[0]
        return await fetch_reports(others, token, tls.client if tls else None)

    return Setup(
        options=_options(
            settings,
            who=(file.name, me.id),
            secrets=secrets,
            configuration=LiveConfiguration(lambda: load_configuration(configuration_path)),
            tls=tls,
            strategy=file.strategy,
        ),
        host=settings.host or me.host,
        port=me.port if settings.port is None else settings.port,
        keys=settings.keys or file.keys,
        shutdown_s=0.0,
        bootstrap=(wanted_of(file), ask_others) if file.nodes[0].id == me.id else None,
    )


def _managed(settings: Settings) -> Setup:
    assert settings.node is not None
    if settings.cluster_secret is None or settings.admin_token is None:
        raise InvalidInputError("needs SPINE_CLUSTER_SECRET_FILE and SPINE_ADMIN_TOKEN_FILE")
    configuration_path = settings.config

    def load() -> Configuration:
        return load_configuration(configuration_path) if configuration_path else Configuration()

    return Setup(
        options=_options(
            settings,
            who=(settings.cluster_name, settings.node),
            secrets=Secrets.from_files(settings.cluster_secret, settings.admin_token),
            configuration=LiveConfiguration(load),
            tls=TlsContexts.load(settings.tls) if settings.tls else None,
        ),
        host=settings.host or "0.0.0.0",  # noqa: S104 - a pod is reached from outside
        port=defaults.PORT if settings.port is None else settings.port,
        keys=settings.keys,
        shutdown_s=settings.shutdown_s,
        bootstrap=None,
    )


def wanted_of(file: ClusterFile) -> Wanted:
    """Return what a cluster file asks for, as `next_action` reads it."""
    return Wanted(
        name=file.name,
        seats={node.id: SeatAddress(zone=node.zone, url=node.address) for node in file.nodes},
        factor=file.factor,
        write_quorum=file.write_quorum,
        zone_policy=file.zone_policy,
        virtual_nodes=file.virtual_nodes,
    )


def _options(
    settings: Settings,
    *,
    who: tuple[str, str],  # name of the cluster, seat
    secrets: Secrets,
    configuration: LiveConfiguration,
    tls: TlsContexts | None = None,
    strategy: PartitionStrategy | None = None,
) -> NodeOptions:
    return NodeOptions(
        name=who[0],
        seat=who[1],
        version=version("memory-spine"),
        strategy=strategy or settings.strategy,
        pull_bytes_per_s=settings.pull_bytes_per_s,
        quota_bytes=settings.quota_bytes,
        drop_after_s=float(settings.drop_after_s),
        index_file=settings.data / INDEX_FILE,
        secrets=secrets,
        tls=tls,
        configuration=configuration,
    )
