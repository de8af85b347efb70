"""Callers, and what their scopes and namespaces allow: one function decides before any handler.

Outside its namespaces a caller sees nothing (404), inside it needs the scope (403).
Source: api.md §5.
"""

from dataclasses import dataclass
from typing import Literal

from spine_core.api_keys import ALL_NAMESPACES, Scope
from spine_core.errors import ProblemError


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller whose credential was found good."""

    subject: str  # becomes `writer` of what it writes
    auth: Literal["api-key", "none", "admin"]
    scopes: frozenset[Scope]
    namespaces: tuple[str, ...]  # each grants itself and what is below; "*" all
    key_id: str | None = None
    not_after_ms: int | None = None  # since 1970

    def covers(self, namespace: str) -> bool:
        """Return whether a granted name is the namespace or, by whole labels, above it."""
        for granted in self.namespaces:
            if granted in (namespace, ALL_NAMESPACES) or namespace.startswith(granted + "."):
                return True
        return False


ANONYMOUS = Principal(
    subject="anonymous",
    auth="none",
    scopes=frozenset(Scope),
    namespaces=(ALL_NAMESPACES,),
)
OPERATOR = Principal(subject="admin", auth="admin", scopes=frozenset(), namespaces=())


def authorise(principal: Principal, scope: Scope | None, namespace: str | None) -> None:
    """Check that a caller may use a namespace and has a scope; None asks for nothing.

    Raises:
        ProblemError: `not-found` outside the caller's namespaces, `forbidden` without the scope.
    """
    if namespace is not None and not principal.covers(namespace):
        raise ProblemError("not-found", "there is no such namespace, or it is not yours")
    if scope is not None and scope not in principal.scopes:
        raise ProblemError("forbidden", f"the credential lacks the scope {scope}")
