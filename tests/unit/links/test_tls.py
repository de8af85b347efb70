"""A node takes over a renewed certificate while it runs, and never a broken one."""

import asyncio
import ssl
from pathlib import Path

import pytest

from spine_core.errors import InvalidInputError
from spine_node.clock import Clock
from spine_node.links.tls import TlsContexts
from spine_operator.certificates import KeyPair, make_authority, make_leaf


def write_new(directory: Path, authority: KeyPair) -> bytes:
    """Write a new leaf; return its certificate as DER."""
    leaf = make_leaf(authority, ("localhost",), Clock().physical_ms())
    (directory / "ca.crt").write_text(authority.certificate)
    (directory / "tls.crt").write_text(leaf.certificate)
    (directory / "tls.key").write_text(leaf.key)
    return ssl.PEM_cert_to_DER_cert(leaf.certificate)


async def shown_by(contexts: TlsContexts) -> bytes | None:
    """Return the certificate that a new connection is shown."""

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=contexts.server) as server:
        port = server.sockets[0].getsockname()[1]
        _reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=contexts.client, server_hostname="localhost"
        )
        shown: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.transport.abort()
        return shown


@pytest.fixture
def authority() -> KeyPair:
    return make_authority("test", Clock().physical_ms())


async def test_a_renewed_certificate_is_shown_without_a_restart(
    tmp_path: Path, authority: KeyPair
) -> None:
    first = write_new(tmp_path, authority)
    contexts = TlsContexts.load(tmp_path)
    assert await shown_by(contexts) == first
    second = write_new(tmp_path, authority)
    contexts.refresh()
    assert await shown_by(contexts) == second != first


async def test_a_broken_certificate_changes_nothing(tmp_path: Path, authority: KeyPair) -> None:
    first = write_new(tmp_path, authority)
    contexts = TlsContexts.load(tmp_path)
    (tmp_path / "tls.crt").write_text("no certificate")
    contexts.refresh()
    assert await shown_by(contexts) == first


def test_a_directory_without_certificates_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as raised:
        TlsContexts.load(tmp_path)
    assert raised.value.path == str(tmp_path)
