"""Addresses: brackets belong into URLs, and only this machine is this machine."""

import pytest

from spine_node.addresses import host_and_port, is_loopback, without_brackets
from spine_node.settings import Settings


@pytest.mark.parametrize(
    ("host", "authority"),
    [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80"), ("node.example", "node.example:80")],
)
def test_an_ipv6_address_stands_in_brackets_in_a_url(host: str, authority: str) -> None:
    assert host_and_port(host, 80) == authority
    assert without_brackets(authority.removesuffix(":80")) == host


@pytest.mark.parametrize("given", ["::1", "[::1]"])
def test_a_host_is_bound_without_its_brackets(given: str) -> None:
    assert Settings.load({"host": given}, {}).host == "::1"


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("127.0.0.7", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost.example.com", False),
        ("127.example.com", False),
        ("::1234", False),
        ("10.0.0.1", False),
    ],
)
def test_only_this_machine_is_loopback(host: str, local: bool) -> None:
    assert is_loopback(host) is local
