"""The chart's values, and what of it must agree with the rest of the repository."""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema_rs import Draft7Validator

from localkube.images.project import tag
from spine_core import defaults
from spine_operator.naming import OPERATOR_NAME, selector
from spine_operator.settings import PREFIX, Settings, read_settings

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "memory-spine"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALIDATOR = Draft7Validator(SCHEMA)


def template(name: str) -> str:
    return (CHART / "templates" / name).read_text()


def changed(path: str, value: object) -> dict[str, Any]:
    """Return the default values with another one at a dotted path."""
    *parents, last = path.split(".")
    values: dict[str, Any] = json.loads(json.dumps(VALUES))
    inner = values
    for name in parents:
        inner = inner[name]
    inner[last] = value
    return values


def test_the_schema_accepts_the_defaults() -> None:
    VALIDATOR.validate(VALUES)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("image.repository", "localhost:5000/memory-spine-operator"),
        ("image.tag", "0.2.0-rc.1"),
        ("image.pullPolicy", "Never"),
        ("watch", {"mode": "Namespaces", "namespaces": ["agents"], "scan": True}),
        ("replicaCount", 2),
        ("networkPolicy.apiServerPorts", [16443]),
        ("tolerations", [{"key": "system", "operator": "Exists"}]),
        ("global", {}),
    ],
)
def test_the_schema_accepts(path: str, value: object) -> None:
    VALIDATOR.validate(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("image.repository", ""),
        ("image.tag", "not a tag"),
        ("image.pullPolicy", "Sometimes"),
        ("defaultNodeImage", "memory-spine-node:0.1.0"),  # the spec's version is the tag
        ("replicaCount", 3),
        ("watch.mode", "Namespaces"),  # would watch all, with no rights
        ("watch.namespaces", ["agents"]),  # says two things
        ("watch", {"mode": "Namespaces", "namespaces": ["agents-*"], "scan": False}),
        ("watch.scan", "yes"),
        ("networkPolicy.apiServerPorts", []),
        ("logLevel", "info"),
        ("replicas", 1),
    ],
)
def test_the_schema_refuses(path: str, value: object) -> None:
    assert not VALIDATOR.is_valid(changed(path, value))


def test_every_value_stands_in_the_schema_and_has_a_default() -> None:
    def names(properties: Mapping[str, Any]) -> dict[str, Any]:
        return {name: names(inner.get("properties", {})) for name, inner in properties.items()}

    def given(values: Mapping[str, Any]) -> dict[str, Any]:
        free = ("resources", "affinity")  # their contents are Kubernetes'
        return {
            name: given(value) if isinstance(value, dict) and name not in free else {}
            for name, value in values.items()
        }

    assert names(SCHEMA["properties"]) == {**given(VALUES), "global": {}}


def test_there_is_one_copy_of_the_definition() -> None:
    link = CHART / "files" / "memoryspineclusters.yaml"
    assert link.is_symlink(), "helm packages the content"
    assert link.samefile(ROOT / "crds" / "memoryspineclusters.yaml")


def test_the_definition_survives_the_chart() -> None:
    definition = yaml.safe_load((CHART / "files" / "memoryspineclusters.yaml").read_text())
    assert definition["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_the_default_images_are_those_that_are_built_here() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["appVersion"] == project["version"]
    assert f"{VALUES['image']['repository']}:{chart['appVersion']}" == tag("operator")
    assert f"{VALUES['defaultNodeImage']}:{chart['appVersion']}" == tag("node")
    assert VALUES["defaultNodeImage"] == Settings(identity="i", namespace="n").node_image


def test_the_operator_understands_its_whole_environment() -> None:
    names = re.findall(rf"name: ({PREFIX}\w+)", template("deployment.yaml"))
    values = dict.fromkeys(names, "x") | {f"{PREFIX}SCAN": "false"}
    assert read_settings(values).identity == "x"


def test_the_policies_of_operator_and_nodes_let_each_other_in() -> None:
    assert f"app.kubernetes.io/name: {OPERATOR_NAME}" in template("_names.tpl")
    policy = template("networkpolicy.yaml")
    name = selector("any")["app.kubernetes.io/name"]
    assert f"podSelector: {{matchLabels: {{app.kubernetes.io/name: {name}}}}}" in policy
    assert f"port: {defaults.PORT}," in policy
