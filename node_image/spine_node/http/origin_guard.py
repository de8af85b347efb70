"""A node without keys serves its own machine only, and no web page that happens to run there.

Source: api.md §5. Elsewhere a web page has reached a memory server of its reader's machine.
"""

from functools import lru_cache
from urllib.parse import urlsplit

from multidict import MultiMapping

from spine_core.errors import InvalidInputError, ProblemError
from spine_node.addresses import is_loopback
from spine_node.http.headers import HOST, ORIGIN


def guard_needed(host: str, *, keys: bool, open_to_all: bool) -> bool:
    """Return whether requests must be checked with `check_origin`.

    `host` is the address to listen on, `open_to_all` the operator's explicit `--auth none`.

    Raises:
        InvalidInputError: path `host`; without keys, anybody could read and write everything.
    """
    if keys:
        return False
    if is_loopback(host):
        return True
    if not open_to_all:
        message = (
            f"{host} is reachable from outside: give --keys FILE (`spine key new` makes one),"
            " or ask for --auth none"
        )
        raise InvalidInputError(message, path="host")
    return False


def check_origin(headers: MultiMapping[str]) -> None:
    """Refuse what a browser sends for a page of another site, even when DNS points here.

    Raises:
        ProblemError: `forbidden`.
    """
    host = headers.get(HOST)
    if host is not None and not _is_local("//" + host):
        raise ProblemError("forbidden", "without keys only this machine may be named as the host")
    origin = headers.get(ORIGIN)
    if origin is not None and not _is_local(origin):
        raise ProblemError("forbidden", "without keys pages of other sites are refused")


@lru_cache(maxsize=64)  # clients send the same few hosts over and over
def _is_local(url: str) -> bool:
    try:
        hostname = urlsplit(url).hostname
    except ValueError:
        return False
    return hostname is not None and is_loopback(hostname)
