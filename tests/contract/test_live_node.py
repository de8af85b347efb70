"""A listening node keeps its document for whatever a generator can think of, good and bad.

Left out: a check that every good body is taken (strong writes come later, session tokens cannot be
guessed), and one that a method which the document lacks gets 405 (reserved names answer 501).
"""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from aiohttp import web
from hypothesis import HealthCheck, assume, settings
from schemathesis import Case
from schemathesis.checks import CheckContext, not_a_server_error
from schemathesis.specs.openapi.checks import positive_data_acceptance, unsupported_method

from spine_core.api_keys import Scope
from spine_node.http.openapi import document
from spine_node.http.routes import routes
from spine_node.http.server import HttpServer, serve
from unit.http.harness import HttpHarness, Keyring

SCHEMA = schemathesis.openapi.from_dict(document(routes("0.1.0"), "0.1.0"))

UNKNOWN_HEADER = "x-schemathesis-unknown-property"  # proxies add such; they are nobody's mistake


async def _no_links(_request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(status=404)


async def _listen(keys: Path) -> HttpServer:
    harness = HttpHarness(keys)
    harness.engine.watches_end = True
    return await serve(harness.app, _no_links, address=("127.0.0.1", 0), limit=harness.limit)


@dataclass(frozen=True)
class Node:
    """Where a listening node is, and a key that it accepts."""

    url: str
    key: str


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Run a node on a loop of its own: the generator is synchronous."""
    ring = Keyring(tmp_path_factory.mktemp("keys") / "keys.yaml")
    key = ring.add(list(Scope), ["*"])
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(_listen(ring.file), loop).result(10)
    yield Node(f"http://127.0.0.1:{server.port}", key)
    asyncio.run_coroutine_threadsafe(server.close(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@schemathesis.check
def not_broken(ctx: CheckContext, response: schemathesis.Response, case: Case[Any]) -> None:
    """Nothing is worse than a name that is not built yet, whatever is sent.

    But a time of ten milliseconds may pass on a busy machine, and the answer says so.
    """
    assert response.status_code < 500 or response.status_code in {501, 504}


@SCHEMA.parametrize()
@settings(max_examples=25, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_in_the_document(case: Case[Any], node: Node) -> None:
    assume(UNKNOWN_HEADER not in case.headers)
    case.call_and_validate(
        base_url=node.url,
        headers={"Authorization": f"Bearer {node.key}"},
        excluded_checks=[not_a_server_error, positive_data_acceptance, unsupported_method],
    )
