"""Network links, addresses and routes through `ip`, in the network namespace of the caller."""

from pathlib import Path

from localkube.processes import run

FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


def ip(*lines: str) -> None:
    """Run `ip` once over some of its commands, in order.

    Raises:
        CommandError: one of them failed.
    """
    run("ip", "-batch", "-", stdin="\n".join(lines) + "\n")


def forward_packets() -> None:
    """Let this namespace route."""
    FORWARD.write_text("1")
