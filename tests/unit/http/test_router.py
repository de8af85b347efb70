"""The path table: words before names, verbs after them, decoding last."""

import pytest

from spine_core.errors import ProblemError
from spine_node.http.messages import Response
from spine_node.http.problems import MethodNotAllowedError
from spine_node.http.request_context import RequestContext
from spine_node.http.router import Route, Router
from unit.http.harness import ROUTES, HttpHarness


async def _handler(_call: RequestContext) -> Response:
    return Response(200, {})


def route(method: str, path: str, *, reserved: bool = False) -> Route:
    return Route(
        method=method, path=path, name=f"{method} {path}", handler=_handler, reserved=reserved
    )


ROUTER = Router(
    [
        route("GET", "/a/{ns}/b"),
        route("POST", "/a/{ns}/b:batch"),
        route("GET", "/a/{ns}/b/{key}"),
        route("DELETE", "/a/{ns}/b/{key}"),
        route("PATCH", "/a/{ns}/b/{key}", reserved=True),
        route("POST", "/a/{ns}/b/{key}:acquire"),
        route("GET", "/a/mine/b"),
        route("GET", "/"),
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "name", "found"),
    [
        ("GET", "/a/x/b", "GET /a/{ns}/b", {"ns": "x"}),
        ("GET", "/a/mine/b", "GET /a/mine/b", {}),
        ("POST", "/a/x/b:batch", "POST /a/{ns}/b:batch", {"ns": "x"}),
        ("POST", "/a/x/b%3Abatch", "POST /a/{ns}/b:batch", {"ns": "x"}),
        ("GET", "/a/x/b/k", "GET /a/{ns}/b/{key}", {"ns": "x", "key": "k"}),
        ("GET", "/a/x/b/%6B%40~%3A", "GET /a/{ns}/b/{key}", {"ns": "x", "key": "k@~:"}),
        ("GET", "/a/x/b/p%2Fq", "GET /a/{ns}/b/{key}", {"ns": "x", "key": "p/q"}),
        ("GET", "/a/x/b/k%zz", "GET /a/{ns}/b/{key}", {"ns": "x", "key": "k%zz"}),
        ("GET", "/a/x/b/k:acquire", "GET /a/{ns}/b/{key}", {"ns": "x", "key": "k:acquire"}),
        ("POST", "/a/x/b/k:l:acquire", "POST /a/{ns}/b/{key}:acquire", {"ns": "x", "key": "k:l"}),
        ("GET", "/", "GET /", {}),
    ],
)
def test_a_path_means_one_route(method: str, path: str, name: str, found: dict[str, str]) -> None:
    matched, parameters = ROUTER.match(method, path)
    assert (matched.name, parameters) == (name, found)


@pytest.mark.parametrize(
    "path", ["/a", "/a/x", "/a/x/b/k/", "/a/x/b/k/l", "//a/x/b", "/A/x/b", "a/x/b", "/a/x/b:other"]
)
def test_an_unknown_path_is_404(path: str) -> None:
    with pytest.raises(ProblemError) as caught:
        ROUTER.match("GET", path)
    assert caught.value.code == "not-found"


def test_a_path_that_is_no_utf8_is_400() -> None:
    with pytest.raises(ProblemError) as caught:
        ROUTER.match("GET", "/a/%FF/b")
    assert caught.value.code == "invalid-request"


def test_a_wrong_method_names_the_methods_that_are_built() -> None:
    with pytest.raises(MethodNotAllowedError) as caught:
        ROUTER.match("PUT", "/a/x/b/k")
    assert caught.value.methods == ["DELETE", "GET", "HEAD"]


def test_head_is_where_get_is() -> None:
    assert ROUTER.match("HEAD", "/a/x/b/k") == ROUTER.match("GET", "/a/x/b/k")


def test_no_two_routes_share_a_place() -> None:
    with pytest.raises(AssertionError):
        Router([*ROUTES, ROUTES[0]])


def test_no_two_operations_share_a_name() -> None:
    assert len({route.name for route in ROUTES}) == len(ROUTES)


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PURGE"])
async def test_other_methods_are_405(method: str) -> None:
    answer = await HttpHarness().ask(method, "/v1/whoami")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
