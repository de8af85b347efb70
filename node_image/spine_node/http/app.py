"""Admission and dispatch of requests: `App.handle(request) -> response`, whatever goes wrong.

Admission order: origin, route, credential, namespace and scope, parameters, headers; the body is
read last. Every answer carries the request id, the node and its epoch; every refusal and failed
write is noted in the audit.
"""

import logging
from itertools import count
from secrets import token_hex

from multidict import MultiMapping

from spine_core.errors import InvalidInputError, ProblemError
from spine_core.records.ids import check_id, check_namespace
from spine_node.http import audit, headers
from spine_node.http.auth import identify_operator
from spine_node.http.identity import ANONYMOUS, Principal, authorise
from spine_node.http.limits import IN_FLIGHT_MAX
from spine_node.http.messages import ClientGoneError, Request, Response
from spine_node.http.origin_guard import check_origin
from spine_node.http.problems import as_problem, problem_response
from spine_node.http.queries import parse_query
from spine_node.http.request_context import AppContext, RequestContext
from spine_node.http.router import Route, Router

logger = logging.getLogger(__name__)


class App:
    """Admits requests, runs their handlers, answers their failures."""

    def __init__(self, app: AppContext, router: Router) -> None:
        self.in_flight = app.in_flight
        self._app = app
        self._router = router
        self._ids = map(f"{token_hex(4)}-{{:x}}".format, count(1))  # unique, and cheap to make

    async def handle(self, request: Request) -> Response:
        """Answer one request. Only a client that went away raises (`ClientGoneError`)."""
        request_id = headers.request_id(request.headers) or next(self._ids)
        return self._signed(await self._answer(request, request_id), request_id)

    def refusal(self, problem: ProblemError) -> Response:
        """Return the answer to what never became a request; its id is in the log too."""
        request_id = next(self._ids)
        logger.info("request_refused", extra={"request_id": request_id, "detail": problem.detail})
        refused = problem_response(problem, request_id, writes=True)  # for it may have been a write
        return self._signed(refused, request_id)

    def _signed(self, response: Response, request_id: str) -> Response:
        """Add the headers of every answer: request id, node, epoch."""
        response.headers["Spine-Request-Id"] = request_id
        response.headers["Spine-Node"] = self._app.node
        response.headers["Spine-Epoch"] = str(self._app.epoch())
        return response

    async def _answer(self, request: Request, request_id: str) -> Response:
        admission = _Admission(self._app, request, request_id)
        began = self._app.clock.now()
        try:
            route, context = admission.admit(self._router)
            if route.access != "key":
                return await _answered(route, context)
            with self.in_flight:
                return await _answered(route, context)
        except (ProblemError, InvalidInputError) as error:
            problem = as_problem(error)
        except ClientGoneError:
            raise
        except Exception:  # a bug must be answered too, and must not end the other requests
            logger.exception("request_failed", extra={"request_id": request_id})
            problem = ProblemError("internal", "the node failed; its log knows the request id")
        finally:
            if admission.route is not None:
                self._app.measure(admission.route.name, self._app.clock.now() - began)
        admission.note_failure(problem)
        return problem_response(problem, request_id, writes=admission.writes)


class _Admission:
    """The checks that a request passes before its handler runs, and how far it got."""

    def __init__(self, app: AppContext, request: Request, request_id: str) -> None:
        self._app = app
        self._request = request
        self._request_id = request_id
        self._principal: Principal | None = None
        self._path: dict[str, str] = {}
        self.route: Route | None = None
        self._admitted = False

    @property
    def writes(self) -> bool:
        """Whether the caller tried to change something."""
        return self.route is not None and self.route.writes

    def admit(self, router: Router) -> tuple[Route, RequestContext]:
        """Return the route and what its handler gets.

        Raises:
            ProblemError, InvalidInputError: the request may not pass.
        """
        app, request = self._app, self._request
        now_s = app.clock.now()
        if app.local_only:
            check_origin(request.headers)
        route, path = self.route, self._path = router.match(request.method, request.path)
        if app.in_flight.count >= IN_FLIGHT_MAX and route.access == "key":
            raise ProblemError("overloaded", "too many requests at once")
        principal = self._principal = self._identify(route, now_s)
        if route.access == "key":
            _check_path(path)
            authorise(principal, route.scope, path.get("ns"))
        context = RequestContext(
            app=app,
            request=request,
            request_id=self._request_id,
            action=route.name,
            principal=principal,
            path=path,
            query=parse_query(request.query, route.query_names),
            deadline=now_s + headers.timeout_s(request.headers),
        )
        self._admitted = True
        return route, context

    def note_failure(self, problem: ProblemError) -> None:
        """Write the audit line of a failed write or a refused request; a read that finds nothing is neither."""
        if not self.writes and not self._refused(problem):
            return
        attempt = audit.Attempt(
            node=self._app.node,
            request_id=self._request_id,
            remote=self._request.remote,
            action=self.route.name if self.route else self._request.method,
            principal=self._principal,
            namespace=self._path.get("ns"),
            memory_id=self._path.get("id"),
        )
        audit.note(attempt, problem.status, problem)

    def _refused(self, problem: ProblemError) -> bool:
        scanning = self.route is None and problem.status == 404
        return not self._admitted and problem.status in audit.REFUSED and not scanning

    def _identify(self, route: Route, now_s: float) -> Principal:
        given: MultiMapping[str] = self._request.headers
        match route.access:
            case "open":
                return ANONYMOUS
            case "admin":
                return identify_operator(given, self._app.admin_tokens())
            case "key":
                return self._app.credentials.identify(given, self._app.clock.physical_ms(), now_s)


async def _answered(route: Route, context: RequestContext) -> Response:
    response = await route.handler(context)
    assert isinstance(response.body, bytes) is not route.streams, f"{route.name} answers otherwise"
    return response


def _check_path(path: dict[str, str]) -> None:
    """Check the syntax of the names in a path.

    Raises:
        InvalidInputError: path `namespace`, `id` or `key`.
    """
    if "ns" in path:
        check_namespace(path["ns"])
    if "id" in path:
        check_id(path["id"])
    if "key" in path:
        check_id(path["key"])
