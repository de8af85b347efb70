"""Admission and dispatch of requests: `App.handle(request) -> response`, whatever goes wrong.

Admission order: origin, route, credential, namespace and scope, parameters, headers; the body is
read last. Every answer carries the request id, the node and its epoch; every refusal and failed
write is noted in the audit.
"""

import logging
from collections.abc import Mapping
from itertools import count
from secrets import token_hex

import msgspec
from multidict import MultiMapping

from spine_core.errors import InvalidInputError, ProblemError
from spine_core.records.ids import check_id, check_namespace
from spine_node.http import audit, headers
from spine_node.http.auth import identify_operator
from spine_node.http.identity import ANONYMOUS, Principal, authorise
from spine_node.http.limits import IN_FLIGHT_MAX
from spine_node.http.messages import ClientGoneError, Request, Response
from spine_node.http.origin_guard import check_origin
from spine_node.http.problems import as_problem, clean, problem_response
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
        began_s = self._app.clock.now()
        request_id = headers.request_id(request.headers) or next(self._ids)
        progress = _Progress(request, request_id)
        try:
            route, context = self._admit(progress, began_s)
            if route.access == "key":
                with self.in_flight:
                    response = await route.handler(context)
            else:
                response = await route.handler(context)
            whole = isinstance(response.body, bytes)
            assert whole is not route.streams, f"{route.name} answers otherwise"
        except (ProblemError, InvalidInputError) as error:
            response = self._failed(progress, as_problem(error))
        except ClientGoneError:
            raise
        except Exception:  # a bug must be answered too, and must not end the other requests
            logger.exception("request_failed", extra={"request_id": request_id})
            problem = ProblemError("internal", "the node failed; its log knows the request id")
            response = self._failed(progress, problem)
        finally:
            if progress.route is not None:
                self._app.measure(progress.route.name, self._app.clock.now() - began_s)
        return self._signed(response, request_id)

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

    def _admit(self, progress: "_Progress", now_s: float) -> tuple[Route, RequestContext]:
        """Return the route and what its handler gets.

        Raises:
            ProblemError, InvalidInputError: the request may not pass.
        """
        app, request = self._app, progress.request
        if app.local_only:
            check_origin(request.headers)
        route, path = self._router.match(request.method, request.path)
        progress.route, progress.path = route, path
        if app.in_flight.count >= IN_FLIGHT_MAX and route.access == "key":
            raise ProblemError("overloaded", "too many requests at once")
        principal = progress.principal = self._identify(route, request.headers, now_s)
        if route.access == "key":
            _check_path(path)
            authorise(principal, route.scope, path.get("ns"))
        context = RequestContext(
            app=app,
            request=request,
            request_id=progress.request_id,
            action=route.name,
            principal=principal,
            path=path,
            query=parse_query(request.query, route.query_names),
            deadline=now_s + headers.timeout_s(request.headers),
        )
        progress.admitted = True
        return route, context

    def _identify(self, route: Route, given: MultiMapping[str], now_s: float) -> Principal:
        match route.access:
            case "key":
                return self._app.credentials.identify(given, self._app.clock.physical_ms(), now_s)
            case "admin":
                return identify_operator(given, self._app.admin_tokens())
            case "open":
                return ANONYMOUS

    def _failed(self, progress: "_Progress", problem: ProblemError) -> Response:
        """Answer a failure, and note it: a failed write or a refused request, no read that finds nothing."""
        if progress.writes or progress.refused(problem):
            audit.note(progress.attempt(self._app.audit), problem.status, problem)
        return problem_response(problem, progress.request_id, writes=progress.writes)


class _Progress(msgspec.Struct):
    """How far a request got, for the audit and the metrics."""

    request: Request
    request_id: str
    route: Route | None = None
    path: Mapping[str, str] = {}
    principal: Principal | None = None  # None: the credential was not found good
    admitted: bool = False

    @property
    def writes(self) -> bool:
        """Whether the caller tried to change something."""
        return self.route is not None and self.route.writes

    def refused(self, problem: ProblemError) -> bool:
        """Whether the caller was turned away; a look for paths that do not exist is no attempt."""
        scanning = self.route is None and problem.status == 404
        return not self.admitted and problem.status in audit.REFUSED and not scanning

    def attempt(self, log: audit.AuditLog) -> audit.Attempt:
        """Return what the audit says about it; its path may not have been looked at yet."""
        namespace, memory_id = self.path.get("ns"), self.path.get("id")
        return audit.Attempt(
            log=log,
            request_id=self.request_id,
            remote=self.request.remote,
            action=self.route.name if self.route else self.request.method,
            principal=self.principal,
            namespace=namespace and clean(namespace),
            memory_id=memory_id and clean(memory_id),
        )


def _check_path(path: Mapping[str, str]) -> None:
    """Check the syntax of the names in a path.

    Raises:
        InvalidInputError: path `namespace`, `id` or `key`.
    """
    if "ns" in path:
        check_namespace(path["ns"])
    if "id" in path:
        check_id(path["id"])
    if "key" in path:
        try:
            check_id(path["key"])
        except InvalidInputError as error:
            raise InvalidInputError(error.message, path="key") from error
