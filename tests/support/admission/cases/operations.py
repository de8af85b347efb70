"""Cases about schedules, settings, security, other regions, rebalancing, healing and images."""

from typing import Any

from admission.cases.case import BASE, accepted, refused, spec
from admission.crd import Json

STORE = "0f9b2c1e-5a77-4c1e-9a51-6f0d3c1b2a90"
NO_TLS = {"tls": {"mode": "Disabled"}}
NO_AUTH = {"auth": {"mode": "Disabled"}}


def peer(name: str = "eu", **changes: Any) -> Json:
    """Return a peer region with number 2."""
    endpoints = ["https://eu.example.org:8788"]
    return {"name": name, "number": 2, "endpoints": endpoints, "secretName": "eu", **changes}


CASES = (
    refused("schedule with four fields", spec(repair={"schedule": "0 2 * *"}), "text"),
    accepted("no schedule", spec(repair={"schedule": ""})),
    accepted("backup", spec(backup={"schedule": "0 3 * * *", "claimName": "b"})),
    refused("backup without a volume", spec(backup={"schedule": "0 3 * * *"}), "required"),
    accepted("settings", spec(settings={"SPINE_LOG_LEVEL": "debug"})),
    refused("setting of another program", spec(settings={"PATH": "/tmp"}), "SPINE_"),
    refused(
        "cert-manager without an issuer",
        spec(security={"tls": {"mode": "CertManager"}}),
        "issuerRef is required",
    ),
    accepted(
        "cert-manager",
        spec(security={"tls": {"mode": "CertManager", "issuerRef": {"name": "ca"}}}),
    ),
    refused(
        "own certificate without a secret",
        spec(security={"tls": {"mode": "Secret"}}),
        "secretName is required",
    ),
    accepted("no TLS, no auth, alone", spec(security={**NO_TLS, **NO_AUTH})),
    refused(
        "no auth behind a load balancer",
        spec(security=NO_AUTH, service={"type": "LoadBalancer"}),
        "for development",
    ),
    refused("TLS switched off", spec(security=NO_TLS), "switched on or off", old=BASE),
    refused("TLS switched on", BASE, "switched on or off", old=spec(security=NO_TLS)),
    refused(
        "certificate for a name that no certificate can bear",
        spec(security={"tls": {"extraDNSNames": ["b\u00fccher.example"]}}),
        "text",
    ),
    accepted("peers", spec(region={"number": 1}, peers=[peer()])),
    refused(
        "peers without TLS",
        spec(region={"number": 1}, peers=[peer()], security=NO_TLS),
        "need TLS",
    ),
    refused(
        "peers without auth",
        spec(region={"number": 1}, peers=[peer()], security=NO_AUTH),
        "for development",
    ),
    refused("peer with our number", spec(region={"number": 2}, peers=[peer()]), "must differ"),
    refused(
        "two peers, one number",
        spec(region={"number": 1}, peers=[peer(), peer("asia")]),
        "must differ",
    ),
    refused("peer over plain HTTP", spec(peers=[peer(endpoints=["http://x"])]), "text"),
    refused("region number changed", spec(region={"number": 1}), "immutable", old=BASE),
    accepted(
        "approved plan",
        spec(rebalance={"mode": "RequireApproval", "approvedPlan": "0123456789ab"}),
    ),
    refused("bandwidth not a quantity", spec(rebalance={"bandwidthPerNode": "32MB/s"}), "pattern"),
    refused("every pull a stall", spec(rebalance={"stallTimeout": "0s"}), "at least 1m"),
    refused("no bandwidth", spec(rebalance={"bandwidthPerNode": "0"}), "pattern"),
    refused("approved plan not a hash", spec(rebalance={"approvedPlan": "yes"}), "text"),
    accepted("replace by store id", spec(healing={"replace": [STORE]})),
    refused("replace by pod name", spec(healing={"replace": ["spine-a-0"]}), "text"),
    accepted("digest", spec(image={"digest": "sha256:" + "0" * 64})),
    refused("digest malformed", spec(image={"digest": "latest"}), "text"),
)
