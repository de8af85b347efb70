"""Host names and addresses: IPv6 stands in brackets in a URL, and without them in a socket."""

from ipaddress import ip_address


def without_brackets(host: str) -> str:
    """Return an address as sockets take it."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def host_and_port(host: str, port: int) -> str:
    """Return the authority of a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Return whether a host name or address means this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(without_brackets(host)).is_loopback
    except ValueError:
        return False
