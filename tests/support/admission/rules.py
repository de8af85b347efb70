"""The CRD's CEL rules, evaluated in process. Pure.

A rule that reads `oldSelf` holds on creation without being evaluated (a transition rule).
Source: Kubernetes, "Validation rules" of structural schemas.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import cel

from admission.crd import Json

DECIMAL_UNITS = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
BINARY_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
QUANTITY_UNITS = {"": 1} | DECIMAL_UNITS | BINARY_UNITS


def quantity(text: str) -> float:
    """Return a Kubernetes quantity as a number. The schema's pattern has already accepted it."""
    parts = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", text)
    assert parts, f"not a quantity that the cases use: {text}"
    return float(Decimal(parts[1]) * QUANTITY_UNITS[parts[2]])


def holds(rule: str, value: Any, old: Any = None) -> bool:
    """Evaluate one rule on `value` and, on an update, on the `old` value in its place."""
    context = cel.Context()
    context.add_variable("self", value)
    if old is not None:
        context.add_variable("oldSelf", old)
    context.add_function("quantity", quantity)
    context.add_function("compareTo", lambda a, b: (a > b) - (a < b))
    context.add_function("sum", sum)
    return cel.evaluate(rule, context) is True


def rule_errors(schema: Json, value: Any, old: Any) -> list[str]:
    """Return the message of every rule in the tree that `value` breaks."""
    bad = [
        rule["message"]
        for rule in schema.get("x-kubernetes-validations", [])
        if not _is_first_transition(rule, old) and not holds(rule["rule"], value, old)
    ]
    for child, new_child, old_child in _children(schema, value, old):
        bad += rule_errors(child, new_child, old_child)
    return bad


def rule_count(schema: Json) -> int:
    """Return how many rules the tree under `schema` holds."""
    below = [*schema.get("properties", {}).values(), *filter(None, [schema.get("items")])]
    return len(schema.get("x-kubernetes-validations", [])) + sum(map(rule_count, below))


def _is_first_transition(rule: Json, old: Any) -> bool:
    return "oldSelf" in rule["rule"] and old is None


def _children(schema: Json, value: Any, old: Any) -> Iterator[tuple[Json, Any, Any]]:
    if isinstance(value, dict):
        for key, child in schema.get("properties", {}).items():
            if key in value:
                yield child, value[key], None if old is None else old.get(key)
    elif isinstance(value, list) and "items" in schema:
        for item in value:
            yield schema["items"], item, _counterpart(schema, item, old or [])


def _counterpart(schema: Json, item: Any, old: list[Any]) -> Any:
    """Return the old item with the same map keys; other lists are compared as a whole."""
    keys = schema.get("x-kubernetes-list-map-keys")
    if not keys:
        return None
    return next((o for o in old if all(o.get(k) == item.get(k) for k in keys)), None)
