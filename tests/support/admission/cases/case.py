"""One admission case and the words to write one down."""

import copy
from dataclasses import dataclass
from typing import Any

from admission.crd import Json

BASE: Json = {"version": "1.0.0", "storage": {"size": "10Gi"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Create `new`, or replace `old` by it; it is accepted or refused for one reason."""

    name: str
    new: Json  # the spec
    refusal: str | None = None  # a fragment of the rule's message or a word of REFUSALS
    old: Json | None = None  # the spec before, on an update
    status: Json | None = None  # of the old object
    object_name: str = "spine"


def accepted(name: str, new: Json, **rest: Any) -> Case:
    """Return a case whose object the API server takes."""
    return Case(name=name, new=new, **rest)


def refused(name: str, new: Json, refusal: str, **rest: Any) -> Case:
    """Return a case whose object the API server refuses with `refusal` in its answer."""
    return Case(name=name, new=new, refusal=refusal, **rest)


def spec(**changes: Any) -> Json:
    """Return the smallest spec with changes; `a__b=1` sets a.b."""
    out = copy.deepcopy(BASE)
    for path, value in changes.items():
        *parents, last = path.split("__")
        here = out
        for parent in parents:
            here = here.setdefault(parent, {})
        here[last] = value
    return out


def zones(*names: str, **counts: int) -> list[Json]:
    """Return zones, first those without a count of nodes, then those with one."""
    return [{"name": name} for name in names] + [
        {"name": name, "replicas": count} for name, count in counts.items()
    ]
