"""Lists page by page: what to ask next. The page token names no node, so it survives every change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from memory_spine import arguments
from memory_spine.core import Call, Core
from memory_spine.effects import Operation
from memory_spine.models import Page

Scope: TypeAlias = Literal["exact", "subtree"]
Order: TypeAlias = Literal["-created_at", "created_at", "id"]


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
        """Ask for this page."""
        query = {
            "scope": arguments.one_of(self.scope, "scope", get_args(Scope)),
            "order": arguments.one_of(self.order, "order", get_args(Order)),
            "page_size": str(arguments.whole(self.page_size, "page_size")),
        }
        if self.filter is not None and (tests := arguments.fields(self.filter, "filter")):
            query["filter"] = msgspec.json.encode(tests).decode()
        if self.page_token:
            query["page_token"] = arguments.text(self.page_token, "page_token")
        if included := arguments.texts(self.include, "include"):
            query["include"] = ",".join(included)
        call = Call(method="GET", path=self.core.memories_path(), query=query)
        return self.core.fetch(call, Page)

    def after(self, page: Page) -> "ListQuery | None":
        """Return the query of the next page, None after the last."""
        token = page.next_page_token
        return None if token is None else replace(self, page_token=token)
