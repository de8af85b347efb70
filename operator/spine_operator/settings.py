"""The operator's own configuration, read once from `SPINE_OPERATOR_*`."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path

from spine_core.errors import InvalidInputError

PREFIX = "SPINE_OPERATOR_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one operator process."""

    identity: str  # holder of the Lease: the pod's name
    namespace: str  # where the Lease lives
    node_image: str = "localhost/memory-spine-node"  # repository; the spec's version is the tag
    namespaces: tuple[str, ...] = ()  # watched; none means all
    scan: bool = False  # CRDs and namespaces may be watched, so either may come later
    lease_name: str = "memory-spine-operator"
    health_port: int = 8080
    metrics_port: int = 8081
    log_level: str = "INFO"
    seat_addresses: Mapping[str, str] = field(default_factory=dict)  # tests: seat → host:port


def usage() -> str:
    """Return every variable with its default, for `--help`."""
    rows = []
    for one in fields(Settings):
        name = "seat_addresses_file" if one.name == "seat_addresses" else one.name
        default = "" if one.default is MISSING else f"default {_shown(one.default)}"
        needed = "" if default or one.default_factory is not MISSING else "must be set"
        rows.append(f"  {PREFIX + name.upper():<36}{default or needed}".rstrip())
    return "\n".join(("environment:", *rows))


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) if value else "none"


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read and check the environment.

    Raises:
        InvalidInputError: a variable is missing, malformed or unknown; its path names it.
    """
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX)
    }
    unknown = given.keys() - Settings.__dataclass_fields__.keys() - {"seat_addresses_file"}
    if unknown:
        raise InvalidInputError("is no setting", path=PREFIX + min(unknown).upper())
    for name in ("identity", "namespace"):
        if not given.get(name):
            raise InvalidInputError("must be set", path=PREFIX + name.upper())
    defaults = Settings(identity=given["identity"], namespace=given["namespace"])
    return Settings(
        identity=given["identity"],
        namespace=given["namespace"],
        node_image=given.get("node_image", defaults.node_image),
        namespaces=tuple(n for n in given.get("namespaces", "").split(",") if n),
        scan=_truth(given, "scan"),
        lease_name=given.get("lease_name", defaults.lease_name),
        health_port=_port(given, "health_port", defaults.health_port),
        metrics_port=_port(given, "metrics_port", defaults.metrics_port),
        log_level=given.get("log_level", defaults.log_level).upper(),
        seat_addresses=_addresses(given.get("seat_addresses_file", "")),
    )


def _truth(given: Mapping[str, str], name: str) -> bool:
    text = given.get(name, "false")
    if text not in ("true", "false"):
        raise InvalidInputError("must be true or false", path=PREFIX + name.upper())
    return text == "true"


def _port(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name, str(default))
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise InvalidInputError("is no port", path=PREFIX + name.upper())
    return int(text)


def _addresses(file: str) -> Mapping[str, str]:
    if not file:
        return {}
    try:
        addresses = json.loads(Path(file).read_text())
        return {str(seat): str(address) for seat, address in addresses.items()}
    except (OSError, ValueError, AttributeError) as error:
        path = f"{PREFIX}SEAT_ADDRESSES_FILE"
        raise InvalidInputError("names no file of seat → host:port", path=path) from error
