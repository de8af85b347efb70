"""How requests reach a node: which certificates are trusted, and whether a proxy stands between.

Without `proxy` the connection is direct, whatever HTTP_PROXY says: nodes are near, and a proxy that was
meant for the web would see their keys or fail to reach them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from memory_spine.errors import ConfigError
from memory_spine.tls import tls_context

ENVIRONMENT = "environment"  # as a proxy: whatever HTTPS_PROXY, HTTP_PROXY and NO_PROXY say


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOptions:
    """What a transport is made from. It can be copied and pickled; connections cannot."""

    ca_file: str | None = None  # None: the system's certificates
    proxy: str | None = None  # URL of an HTTP proxy, or ENVIRONMENT; None: no proxy

    @classmethod
    def of(cls, ca_file: str | None, proxy: str | None, environ: Mapping[str, str]) -> Self:
        """Return the options; what is not given comes from SPINE_CA_FILE and SPINE_PROXY.

        Raises:
            ConfigError: the proxy is none, or the file holds no certificates.
        """
        options = cls(
            ca_file=ca_file or environ.get("SPINE_CA_FILE") or None,
            proxy=proxy or environ.get("SPINE_PROXY") or None,
        )
        options.check()
        return options

    def check(self) -> None:
        """Raise `ConfigError` now for what would fail with the first request."""
        tls_context(self.ca_file)
        if self.proxy not in {None, ENVIRONMENT}:
            _check_proxy(str(self.proxy))

    def proxy_for(self, url: str) -> str | None:
        """Return the proxy on the way to this URL.

        Raises:
            ConfigError: the environment names one that is none.
        """
        if self.proxy != ENVIRONMENT:
            return self.proxy
        from urllib import request  # noqa: PLC0415 - slow to load, and seldom needed

        parts = urlsplit(url)
        if request.proxy_bypass_environment(parts.netloc):  # type: ignore[attr-defined]
            return None
        proxies = request.getproxies_environment()
        found = proxies.get(parts.scheme) or proxies.get("all")
        if found is not None:
            _check_proxy(found)
        return found


def _check_proxy(text: str) -> None:
    try:
        parts = urlsplit(text)
        named = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        named = False
    if not named:
        raise ConfigError(
            f"{text!r} is no proxy; write http://HOST:PORT, or {ENVIRONMENT!r} for HTTPS_PROXY, "
            "HTTP_PROXY and NO_PROXY"
        )
