"""What an API server or GitOps would hold against the schema itself, beyond its syntax. Pure.

Each complaint was learnt from a real server or from another operator's bug report:
a default in a list item drifts, an unbounded list makes CEL too expensive, YAML 1.1 reads `off` as
false, and a rule is evaluated on the bare default of its object when the CRD is created.
"""

import copy
import json
from collections.abc import Iterator

import yaml

from admission.crd import CRD, SCHEMA, Json
from admission.rules import holds

ANNOTATION_BYTES_MAX = 262_144  # client-side apply copies the object into one annotation


def complaints() -> list[str]:
    """Return everything wrong with the CRD; an empty list is good."""
    bad = []
    for path, schema, in_list in _walk(SCHEMA, "", in_list=False):
        bad += [f"{path}: {problem}" for problem in _problems(path, schema, in_list=in_list)]
    size_bytes = len(json.dumps(CRD, separators=(",", ":")))
    if size_bytes > ANNOTATION_BYTES_MAX:
        bad.append(f"{size_bytes} bytes do not fit client-side apply")
    return bad


def _walk(schema: Json, path: str, *, in_list: bool) -> Iterator[tuple[str, Json, bool]]:
    yield path, schema, in_list
    for key, child in schema.get("properties", {}).items():
        yield from _walk(child, f"{path}.{key}".lstrip("."), in_list=in_list)
    if "items" in schema:
        yield from _walk(schema["items"], f"{path}[]", in_list=True)


def _problems(path: str, schema: Json, *, in_list: bool) -> Iterator[str]:
    if in_list and "default" in schema:
        yield "default inside a list item"
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        yield "accepts anything"
    if schema.get("type") == "array":
        yield from (
            f"list without {word}"
            for word in ("x-kubernetes-list-type", "maxItems")
            if word not in schema
        )
    if path.startswith("spec"):
        yield from _unbounded(schema)
    yield from _misread_words(schema)
    yield from _unsound_defaults(schema)


def _unbounded(schema: Json) -> Iterator[str]:
    if schema.get("type") == "string" and not {"maxLength", "enum", "format"} & schema.keys():
        yield "text without maxLength"
    if isinstance(schema.get("additionalProperties"), dict) and "maxProperties" not in schema:
        yield "map without maxProperties"


def _misread_words(schema: Json) -> Iterator[str]:
    for word in schema.get("enum", []):
        quoted_by_everyone = word in ("True", "False")  # the conditions' own words
        if not isinstance(yaml.safe_load(str(word)), str) and not quoted_by_everyone:
            yield f"YAML reads the value {word} as something else"


def _unsound_defaults(schema: Json) -> Iterator[str]:
    if "default" not in schema:
        return
    for rule in schema.get("x-kubernetes-validations", []):
        if not holds(rule["rule"], copy.deepcopy(schema["default"]), schema["default"]):
            yield f"its own default fails {rule['rule']}"
