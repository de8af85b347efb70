"""What surrounds the rules: settings, measures, unbuilt fields, Secrets and certificates."""

import ssl
from typing import Any

import pytest
import yaml
from cryptography import x509

from admission.crd import SCHEMA
from spine_core.api_keys import parse_key
from spine_core.errors import InvalidInputError
from spine_operator.certificates import expires_ms, make_authority, make_leaf
from spine_operator.manifests.pod import pod_template
from spine_operator.resource.quantities import bytes_of, seconds_of
from spine_operator.resource.unsupported import OWNED_SETTINGS, UNBUILT, refused_fields, value_at
from spine_operator.secrets import make_values, purposes
from spine_operator.settings import read_settings

NOW_MS = 1_767_225_600_000
NAMES = {"SPINE_OPERATOR_IDENTITY": "me", "SPINE_OPERATOR_NAMESPACE": "ops"}


@pytest.mark.parametrize(
    ("text", "size"),
    [("1Gi", 1 << 30), ("1500m", 2), ("2k", 2000), ("1e3", 1000), ("0.5Ki", 512), (7, 7)],
)
def test_quantities(text: str | int, size: int) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "ten", "1KiB", "--1", "1..2"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        bytes_of(text)


def test_durations() -> None:
    assert seconds_of("1h30m5s") == 5405
    with pytest.raises(InvalidInputError):
        seconds_of("1d")


def test_settings_are_read_and_unknown_ones_refused() -> None:
    settings = read_settings({**NAMES, "SPINE_OPERATOR_NAMESPACES": "a,b", "OTHER": "x"})
    assert (settings.namespaces, settings.scan, settings.health_port) == (("a", "b"), False, 8080)
    for name, value in (
        ("SPINE_OPERATOR_NAMESPACEZ", "a"),
        ("SPINE_OPERATOR_HEALTH_PORT", "0"),
        ("SPINE_OPERATOR_SCAN", "yes"),
        ("SPINE_OPERATOR_SEAT_ADDRESSES_FILE", "/none"),
        ("SPINE_OPERATOR_IDENTITY", ""),
    ):
        with pytest.raises(InvalidInputError, match=name):
            read_settings({**NAMES, name: value})


def default_at(path: str) -> Any:
    """The CRD's default of a field, through the objects around it."""
    schema = SCHEMA["properties"]["spec"]
    for name in path.split("."):
        assert name in schema["properties"], f"{path} is no field of the CRD"
        schema = schema["properties"][name]
    return schema.get("default")


@pytest.mark.parametrize("path", UNBUILT)
def test_what_is_not_built_passes_with_the_default_of_the_crd(path: str) -> None:
    assert default_at(path) in UNBUILT[path]


def test_unbuilt_fields_are_named(make_resource: Any) -> None:
    spec = make_resource(
        peers=[{"name": "eu"}],
        backup={"schedule": "0 0 * * *", "claimName": "b"},
        maintenance={"hibernate": True},
        security={"tls": {"mode": "CertManager", "issuerRef": {"name": "x"}}},
        settings={"SPINE_SEAT": "x"},
    )["spec"]
    refused = refused_fields(spec)
    for path in ("peers", "backup", "maintenance.hibernate", "security.tls.mode"):
        assert any(text.startswith(f"spec.{path}: ") for text in refused)
    assert refused[-1] == "spec.settings.SPINE_SEAT: the operator sets this"
    assert value_at({"a": {"b": 1}}, "a.c.d") is None
    assert refused_fields(make_resource()["spec"]) == []


def test_every_variable_that_the_operator_sets_is_owned(make_cluster: Any) -> None:
    cluster = make_cluster()
    container = pod_template(cluster, cluster.spec.zones[0], image="x")["spec"]["containers"][0]
    names = {one["name"] for one in container["env"]} - {
        "SPINE_QUOTA_BYTES"
    }  # people may know more
    assert names <= OWNED_SETTINGS
    aliases = {"SPINE_CLUSTER", "SPINE_NODE", "SPINE_KEYS", "SPINE_TLS"}  # of `spine serve`
    assert aliases <= OWNED_SETTINGS


def test_the_generated_key_is_the_one_that_keys_yaml_describes(make_cluster: Any) -> None:
    values = make_values(make_cluster(), "client", {}, lambda n: b"\x07" * n, NOW_MS)
    key_id, sha256 = parse_key(values["api-key"])
    entry = yaml.safe_load(values["keys.yaml"])["keys"][0]
    assert (entry["id"], entry["sha256"]) == (key_id, sha256)
    assert values["api-key"] not in values["keys.yaml"]
    assert values["url"] == "https://spine.agents.svc:8788"


def test_without_tls_there_is_no_authority(make_cluster: Any) -> None:
    cluster = make_cluster(security={"tls": {"mode": "Disabled"}})
    assert purposes(cluster) == ("cluster", "admin", "client")


def test_a_leaf_is_trusted_by_strict_verifiers_for_its_names_and_its_time() -> None:
    authority = make_authority("spine", NOW_MS)
    leaf = make_leaf(authority, ("*.spine-nodes.agents.svc", "10.0.0.1"), NOW_MS)
    context = ssl.create_default_context(cadata=authority.certificate)
    assert context.cert_store_stats()["x509_ca"] == 1
    parsed = x509.load_pem_x509_certificate(leaf.certificate.encode())
    names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["*.spine-nodes.agents.svc"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.1"]
    assert expires_ms(leaf.certificate) == NOW_MS + 90 * 86_400_000
    assert expires_ms(authority.certificate) == NOW_MS + 3650 * 86_400_000
