"""Two OpenAPI documents in one shape, so that they can be compared: references resolved, one form of nullable."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CONTRACT_FILE = Path(__file__).parents[2] / "docs" / "reference" / "openapi-v1.yaml"
METHODS = ("get", "put", "post", "delete", "patch")

_WORDS = (
    "type", "minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "minItems",
    "maxItems", "uniqueItems", "additionalProperties",
)  # fmt: skip


def contract() -> dict[str, Any]:
    """Return the normative document."""
    loaded: dict[str, Any] = yaml.safe_load(CONTRACT_FILE.read_text())
    return loaded


class Plain:
    """One document, read without its notation."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def operations(self) -> Iterator[tuple[str, str]]:
        """Yield (method, path) of every operation."""
        for path, item in self._document["paths"].items():
            for method in METHODS:
                if method in item:
                    yield method, path

    def operation(self, method: str, path: str) -> dict[str, Any]:
        """Return the operation as it stands."""
        found: dict[str, Any] = self._document["paths"][path][method]
        return found

    def parameters(self, method: str, path: str) -> dict[tuple[str, str], Any]:
        """Return (place, name) → schema of every parameter of an operation."""
        item = self._document["paths"][path]
        given = item.get("parameters", []) + item[method].get("parameters", [])
        found = {}
        for known in map(self._resolve, given):
            holder = known["content"]["application/json"] if "content" in known else known
            found[known["in"], known["name"]] = self.schema(holder["schema"])
        return found

    def statuses(self, method: str, path: str) -> set[str]:
        """Return the documented statuses of an operation."""
        return set(self.operation(method, path)["responses"])

    def request_body(self, method: str, path: str) -> Any:
        """Return the schema of the JSON body, None without one."""
        body = self._resolve(self.operation(method, path).get("requestBody", {}))
        return self._content(body)

    def answer(self, method: str, path: str, status: str) -> Any:
        """Return the schema of a JSON answer, None without one."""
        return self._content(self._resolve(self.operation(method, path)["responses"][status]))

    def schema(self, schema: Any) -> Any:
        """Return what a schema demands: a type, its limits, its properties, and nothing else."""
        schema = self._resolve(schema)
        if "anyOf" in schema:
            return self._union([self.schema(part) for part in schema["anyOf"]])
        if isinstance(schema.get("type"), list):
            return self._union([self.schema({**schema, "type": kind}) for kind in schema["type"]])
        found = {word: schema[word] for word in _WORDS if word in schema}
        if "enum" in schema or "const" in schema:
            found = {"enum": sorted(schema.get("enum", [schema.get("const")]))}
        if isinstance(found.get("additionalProperties"), dict):
            found["additionalProperties"] = self.schema(found["additionalProperties"])
        if "items" in schema:
            found["items"] = self.schema(schema["items"])
        if "properties" in schema:
            found["required"] = sorted(schema.get("required", []))
            found["properties"] = {
                name: self.schema(part) for name, part in sorted(schema["properties"].items())
            }
        return found

    def _union(self, parts: list[Any]) -> Any:
        """Return the alternatives; null has no limits of its own."""
        null = {"type": "null"}
        return {
            "any": [part for part in parts if part.get("type") != "null"],
            "null": null in parts,
        }

    def _content(self, holder: dict[str, Any]) -> Any:
        content = holder.get("content", {})
        return next((self.schema(kind["schema"]) for kind in content.values()), None)

    def _resolve(self, node: Any) -> Any:
        while "$ref" in node:
            target: Any = self._document
            for step in node["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            node = target
        return node
