"""`transport="link"` against real nodes: the semantics of HTTP on one connection."""

import asyncio
import os
import pickle
import ssl
from pathlib import Path
from typing import Any

import pytest

from memory_spine import AsyncSpine, ConnectionFailed, NotFound
from memory_spine.errors import (
    BatchFailed,
    ConfigError,
    PreconditionFailed,
    SpineError,
    Unauthenticated,
)
from memory_spine.link_frames import BODY_BYTES_MAX
from memory_spine.link_transport import LinkTransport
from spine_core.api_keys import Scope
from spine_node.clock import Clock
from spine_node.http.server import serve
from spine_operator.certificates import make_authority, make_leaf
from unit.client.linked import (
    BOTH,
    Node,
    echo,
    listening,
    no_links,
    request,
    scripted,
)
from unit.http.harness import HttpHarness, Keyring

# the same as by HTTP


@BOTH
async def test_every_operation_does_the_same(node: Node, transport: Any) -> None:
    async with AsyncSpine(node.url, namespace="acme", transport=transport) as spine:
        made = await spine.memories.create("hello", tags=["task"])
        assert (await spine.memories.get(made.id)) == made
        changed = await spine.memories.put(made.replace(content="é"))
        assert (await spine.memories.get(made.id)).content == "é"
        assert changed.version > made.version
        await spine.memories.put("n-2", "two")
        listed = [m.id async for m in spine.memories.list(page_size=1, order="id")]
        assert listed == sorted([made.id, "n-2"])
        long = {"agent_id": {"$in": [f"agent-number-{n:03}" for n in range(200)]}}
        assert [m async for m in spine.memories.list(filter=long)] == []
        async with spine.memories.batch() as batch:
            batch.create("x")
            batch.put("n-3", "y")
        assert [result.status for result in batch.result.results] == [201, 201]
        await spine.memories.delete("n-2")
        assert await spine.memories.get_or_none("n-2") is None
        assert (await spine.whoami()).subject == "anonymous"
        assert spine.last_answer is not None
        assert (spine.last_answer.node, spine.last_answer.status) == ("spine-1", 200)
        assert spine.session_token is not None
        assert spine.stats.attempts_failed == 0


@BOTH
async def test_failures_are_the_same(node: Node, transport: Any) -> None:
    async with AsyncSpine(node.url, namespace="acme", transport=transport) as spine:
        with pytest.raises(NotFound):
            await spine.memories.get("never")
        with pytest.raises(PreconditionFailed) as stale:
            await spine.memories.put("n", "x", if_match="0000000000000000-00000001")
        assert (stale.value.status, stale.value.may_have_been_applied) == (412, False)
        with pytest.raises(BatchFailed):
            async with spine.memories.batch() as batch:
                batch.put("n", "x" * 70_000)
        with pytest.raises(SpineError) as large:
            await spine.memories.put("n", "x", metadata={"a": "y" * (BODY_BYTES_MAX - 100)})
        assert large.value.status == 422


@BOTH
async def test_a_wrong_key_is_refused_the_same(keyring: Keyring, transport: Any) -> None:
    key = keyring.add([Scope.READ], ["acme"])
    async with listening(HttpHarness(keyring.file)) as node:
        options: dict[str, Any] = {"namespace": "acme", "transport": transport}
        async with AsyncSpine(node.url, api_key=key[:-1], **options) as spine:
            with pytest.raises(Unauthenticated):
                await spine.whoami()
        async with AsyncSpine(node.url, api_key=key, **options) as spine:
            assert (await spine.whoami()).auth == "api-key"


@pytest.fixture
def keyring(tmp_path: Any) -> Keyring:
    return Keyring(tmp_path / "keys.yaml")


async def test_a_key_that_changes_is_used_on_the_open_link(keyring: Keyring) -> None:
    first = keyring.add([Scope.READ], ["acme"], subject="one")
    second = keyring.add([Scope.READ], ["acme"], subject="two")
    given = [first]
    async with (
        listening(HttpHarness(keyring.file)) as node,
        AsyncSpine(node.url, api_key=lambda: given[0], transport="link") as spine,
    ):
        assert (await spine.whoami()).subject == "one"
        given[0] = second
        assert (await spine.whoami()).subject == "two"
        given[0] = ""
        with pytest.raises(Unauthenticated):
            await spine.whoami()
        assert node.connections == 1


async def test_a_link_speaks_tls_with_whom_it_trusts(
    tmp_path: Path,
) -> None:
    authority = make_authority("test", Clock().physical_ms())
    leaf = make_leaf(authority, ("127.0.0.1",), Clock().physical_ms())
    for name, text in (("ca", authority.certificate), ("tls", leaf.certificate + leaf.key)):
        (tmp_path / name).write_text(text)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "tls")
    harness = HttpHarness()
    server = await serve(
        harness.app, no_links, address=("127.0.0.1", 0), limit=harness.limit, tls=tls
    )
    url = f"https://127.0.0.1:{server.port}"
    options: dict[str, Any] = {"namespace": "acme", "transport": "link", "attempts": 1}
    async with AsyncSpine(url, ca_file=str(tmp_path / "ca"), **options) as spine:
        assert (await spine.memories.put("n", "x")).content == "x"
        assert isinstance(spine._transport, LinkTransport)
        assert spine._transport._links is not None
        assert len(spine._transport._links._open) == 1
    async with AsyncSpine(url, **options) as spine:
        with pytest.raises(ConnectionFailed, match="SPINE_CA_FILE says whom to trust") as failed:
            await spine.memories.put("n", "x")
        assert not failed.value.may_have_been_applied
    await server.close(grace_s=0.05)


# loops, copies, forks


def test_a_client_of_another_event_loop_says_so() -> None:
    async def use(link: LinkTransport, *, close: bool = False) -> int:
        async with scripted(echo) as node:
            status = (await link.send(request(node.url))).status
            if close:
                await link.close()
            return status

    link = LinkTransport()
    with asyncio.Runner() as first:
        assert first.run(use(link)) == 200
        with asyncio.Runner() as second, pytest.raises(ConfigError, match="event loop"):
            second.run(use(link))
        first.run(link.close())
    assert asyncio.run(use(link, close=True)) == 200


def test_a_copy_has_the_options_and_no_connection() -> None:
    spine = AsyncSpine("http://a", transport="link")
    copy = pickle.loads(pickle.dumps(spine))
    assert isinstance(copy._transport, LinkTransport)


async def test_a_forked_child_opens_a_link_of_its_own(node: Node) -> None:
    async with AsyncSpine(node.url, namespace="acme", transport="link") as spine:
        await spine.memories.put("n", "x")
        child = await asyncio.get_running_loop().run_in_executor(None, _fork, spine)
        assert child == b"x"
        assert (await spine.memories.get("n")).content == "x"
        assert isinstance(spine._transport, LinkTransport)
        assert spine._transport._links is not None
        assert len(spine._transport._links._open) == 1


def _fork(spine: AsyncSpine) -> bytes:
    async def in_child() -> bytes:
        content = (await spine.memories.get("n")).content
        await spine.close()
        return content.encode()

    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            asyncio._set_running_loop(None)
            os.write(writer, asyncio.run(in_child()))
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:  # noqa: PTH123 - a descriptor, no path
        read = pipe.read()
    os.waitpid(child, 0)
    return read


# how it is chosen


def test_the_environment_chooses_the_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPINE_TRANSPORT", "link")
    assert isinstance(AsyncSpine("http://a")._transport, LinkTransport)
    assert not isinstance(AsyncSpine("http://a", transport="http")._transport, LinkTransport)
    monkeypatch.setenv("SPINE_TRANSPORT", "pigeon")
    with pytest.raises(ConfigError, match="transport is one of http, link"):
        AsyncSpine("http://a")
