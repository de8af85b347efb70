"""A small interpreter of Kubernetes' structural schemas: defaults and validation.

It knows the keywords that our CRD uses and no others. Pure.
Source: Kubernetes, "Extend the Kubernetes API with CustomResourceDefinitions".
"""

import copy
import json
import re
from typing import Any

from admission.crd import Json

UNBOUNDED = 1 << 62
TYPES: dict[str, type] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
}


def fill_defaults(schema: Json, value: Any) -> None:
    """Write the schema's defaults into `value`, outermost first, as the API server does."""
    if isinstance(value, dict):
        for key, child in schema.get("properties", {}).items():
            if key not in value and "default" in child:
                value[key] = copy.deepcopy(child["default"])
            if key in value:
                fill_defaults(child, value[key])
    elif isinstance(value, list) and "items" in schema:
        for item in value:
            fill_defaults(schema["items"], item)


def schema_errors(schema: Json, value: Any, path: str = "") -> list[str]:
    """Return `path: keyword` for everything in `value` that the schema refuses."""
    if schema.get("x-kubernetes-int-or-string"):
        return _int_or_text_errors(schema, value, path)
    if not _has_type(value, schema.get("type")):
        return [f"{path}: type"]
    bad = [f"{path}: enum"] if "enum" in schema and value not in schema["enum"] else []
    match value:
        case str():
            bad += _text_errors(schema, value, path)
        case int() if not isinstance(value, bool):
            inside = schema.get("minimum", -UNBOUNDED) <= value <= schema.get("maximum", UNBOUNDED)
            bad += [] if inside else [f"{path}: range"]
        case list():
            bad += _list_errors(schema, value, path)
        case dict():
            bad += _object_errors(schema, value, path)
    return bad


def _has_type(value: Any, wanted: str | None) -> bool:
    if wanted is None:
        return True
    return isinstance(value, TYPES[wanted]) and (wanted == "boolean") == isinstance(value, bool)


def _int_or_text_errors(schema: Json, value: Any, path: str) -> list[str]:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return [f"{path}: type"]
    matches = isinstance(value, int) or re.search(schema.get("pattern", ""), value)
    return [] if matches else [f"{path}: pattern"]


def _text_errors(schema: Json, value: str, path: str) -> list[str]:
    fits = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", UNBOUNDED)
    matches = re.search(schema.get("pattern", ""), value)
    return [] if fits and matches else [f"{path}: text"]


def _list_errors(schema: Json, value: list[Any], path: str) -> list[str]:
    bad = []
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", UNBOUNDED):
        bad.append(f"{path}: items")
    if _has_duplicates(schema, value):
        bad.append(f"{path}: duplicate")
    for index, item in enumerate(value):
        bad += schema_errors(schema["items"], item, f"{path}[{index}]")
    return bad


def _has_duplicates(schema: Json, value: list[Any]) -> bool:
    keys = schema.get("x-kubernetes-list-map-keys")
    if not keys and schema.get("x-kubernetes-list-type") != "set":
        return False
    marks = [json.dumps([item.get(key) for key in keys] if keys else item) for item in value]
    return len(set(marks)) != len(marks)


def _object_errors(schema: Json, value: Json, path: str) -> list[str]:
    known, rest = schema.get("properties", {}), schema.get("additionalProperties")
    bad = [f"{path}.{key}: required" for key in schema.get("required", []) if key not in value]
    if len(value) > schema.get("maxProperties", UNBOUNDED):
        bad.append(f"{path}: properties")
    for key, child in value.items():
        if key in known:
            bad += schema_errors(known[key], child, f"{path}.{key}")
        elif isinstance(rest, dict):
            bad += schema_errors(rest, child, f"{path}.{key}")
        elif path != ".metadata":  # the API server knows metadata by itself
            bad.append(f"{path}.{key}: unknown field")
    return bad
