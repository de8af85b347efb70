"""Lists page by page: what to ask next. The page token names no node, so it survives every change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, get_args
from urllib.parse import quote, urlencode

import msgspec

from memory_spine import arguments
from memory_spine.core import Call, Core
from memory_spine.effects import Operation
from memory_spine.models import Page

Scope: TypeAlias = Literal["exact", "subtree"]
Order: TypeAlias = Literal["-created_at", "created_at", "id"]

Item = TypeVar("Item")


class _Items(Protocol):
    """A page, whatever it lists."""

    @property
    def items(self) -> Sequence[Any]:
        """What stands on it."""


Listed = TypeVar("Listed", bound=_Items)


class Query(Protocol[Listed]):
    """A page to ask for, and how the next one is asked for."""

    def fetch(self) -> Operation[Listed]:
        """Ask for this page."""

    def after(self, page: Listed) -> "Query[Listed] | None":
        """Return the query of the next page, None after the last."""


QUERY_CHARS_MAX = 4096  # of a GET: half of the line that a node takes, as some proxies take less


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """One page of a list."""

    core: Core
    filter: Mapping[str, Any] | None
    scope: Scope
    order: Order
    page_size: int
    page_token: str | None
    include: Sequence[str]

    def fetch(self) -> Operation[Page]:
        """Ask for this page: with GET, or with POST when the filter is long."""
        given: dict[str, Any] = {
            "scope": arguments.one_of(self.scope, "scope", get_args(Scope)),
            "order": arguments.one_of(self.order, "order", get_args(Order)),
            "page_size": arguments.whole(self.page_size, "page_size"),
        }
        if self.filter is not None and (tests := arguments.fields(self.filter, "filter")):
            given["filter"] = tests
        if self.page_token:
            given["page_token"] = arguments.text(self.page_token, "page_token")
        if included := arguments.texts(self.include, "include"):
            given["include"] = included
        return self.core.fetch(self._call(given), Page)

    def _call(self, given: Mapping[str, Any]) -> Call:
        path = self.core.memories_path()
        query = {name: str(value) for name, value in given.items() if isinstance(value, str | int)}
        if "filter" in given:
            query["filter"] = msgspec.json.encode(given["filter"]).decode()
        if "include" in given:
            query["include"] = ",".join(given["include"])
        if len(urlencode(query, quote_via=quote)) <= QUERY_CHARS_MAX:
            return Call(method="GET", path=path, query=query)
        return Call(method="POST", path=f"{path}:query", body=msgspec.json.encode(given))

    def after(self, page: Page) -> "ListQuery | None":
        """Return the query of the next page, None after the last."""
        token = page.next_page_token
        return None if token is None else replace(self, page_token=token)
