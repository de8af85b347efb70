"""The status tells what is so, in words that stay the same while nothing changes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from admission.crd import SCHEMA
from admission.structural import schema_errors
from kubedouble.fake_cluster import ZONES, FakeKubeCluster, is_done
from spine_core.planning.actions import Blocked, Step
from spine_core.planning.guards import Block, Guard, Unknown
from spine_core.planning.reports import Status
from spine_operator.observe.observed import Observed
from spine_operator.observe.observer import observe
from spine_operator.observe.parse import read_pod
from spine_operator.plan.actions import ReconcilePlan
from spine_operator.plan.planner import plan
from spine_operator.reconcile import ReconcileResult
from spine_operator.resource.seats import wanted_by
from spine_operator.status.builder import build_status, merge_patch, stalled_status
from spine_operator.status.events import EVENT_WINDOW_MS
from spine_operator.status.stalled import REASON_OF, REASONS, SCHEDULING_MS, Stall

RUNBOOKS = Path(__file__).parents[2] / "docs" / "runbooks"


async def fake_of(**spec: Any) -> FakeKubeCluster:
    fake = FakeKubeCluster(**{"replicas": 3, "topology": {"zones": ZONES}, **spec})
    await fake.settle()
    return fake


def conditions(observed: Observed) -> dict[str, tuple[str, str]]:
    wanted = wanted_by(observed.cluster, lambda _seat: None)
    status = build_status(observed, wanted, plan(observed, wanted), {})
    assert schema_errors(SCHEMA["properties"]["status"], status) == []
    return {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}


def silent(observed: Observed, *seats: str) -> Observed:
    reports = {s: None if s in seats else report for s, report in observed.reports.items()}
    return replace(observed, reports=reports)


def troubled(observed: Observed, seat: str, trouble: str) -> Observed:
    pods = {**observed.pods, seat: replace(observed.pods[seat], ready=False, trouble=trouble)}
    return silent(replace(observed, pods=pods), seat)


def unscheduled(observed: Observed, seat: str, age_ms: int) -> Observed:
    since_ms = observed.now_ms - age_ms
    pods = {**observed.pods, seat: replace(observed.pods[seat], unscheduled_ms=since_ms)}
    return silent(replace(observed, pods=pods), seat)


async def test_condition_table() -> None:
    fake = await fake_of()
    seen = await observe(fake.resource, fake.ports())
    spread = {seat: replace(pod, host="one") for seat, pod in seen.pods.items()}
    year_ms = 365 * 86_400_000
    rows: list[tuple[Observed, dict[str, tuple[str, str]]]] = [
        (seen, {"Ready": ("True", "InForce"), "Available": ("True", "InForce")}),
        (silent(seen, "spine-b-0"), {"Available": ("True", "InForce")}),
        (silent(seen, "spine-b-0"), {"FullyReplicated": ("Unknown", "Degraded")}),
        (silent(seen, "spine-a-0", "spine-b-0"), {"Available": ("Unknown", "AdminUnreachable")}),
        (
            troubled(seen, "spine-b-0", "ImagePullBackOff"),
            {"Stalled": ("True", "ImagePullFailed"), "Ready": ("False", "Stalled")},
        ),
        (
            unscheduled(seen, "spine-b-0", SCHEDULING_MS + 1),
            {"Stalled": ("True", "PodsNotScheduled")},
        ),
        (replace(seen, pods=spread), {"TopologySatisfied": ("False", "HostShared")}),
        (replace(seen, taken=("Service spine",)), {"Stalled": ("True", "NamesTaken")}),
        (replace(seen, refused=("x",)), {"ConfigValid": ("False", "ConfigRefused")}),
        (
            replace(seen, document=None, document_trouble="broken"),
            {"Stalled": ("True", "DocumentLost")},
        ),
        (
            replace(seen, now_ms=seen.now_ms + year_ms),
            {"CertificatesValid": ("False", "CertificateInvalid")},
        ),
    ]
    for observed, expected in rows:
        shown = conditions(observed)
        assert {kind: shown.get(kind) for kind in expected} == expected


async def test_a_pod_that_waits_for_an_autoscaler_is_no_stall() -> None:
    fake = await fake_of()
    seen = await observe(fake.resource, fake.ports())
    assert "Stalled" not in conditions(unscheduled(seen, "spine-b-0", SCHEDULING_MS - 1))
    pod = read_pod(
        {
            "metadata": {"uid": "u", "labels": {}},
            "status": {
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "lastTransitionTime": "2026-01-01T00:00:00Z",
                    }
                ]
            },
        },
        "b",
    )
    assert pod.unscheduled_ms == 1_767_225_600_000


async def test_the_same_said_again_within_ten_minutes_is_one_event(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    fake = await fake_of()

    async def pause_and_go_on() -> None:
        for paused in (True, False):
            fake.change_spec(maintenance={"paused": paused})
            await fake.reconcile_pass()

    await pause_and_go_on()
    await pause_and_go_on()
    assert [one["reason"] for one in fake.events()].count("Blocked") == 1
    assert "event_lost" not in caplog.text
    fake.now_ms += EVENT_WINDOW_MS
    await pause_and_go_on()
    assert [one["reason"] for one in fake.events()].count("Blocked") == 2


async def test_lost_quorum_is_a_stall_only_when_it_does_not_come_back_by_itself() -> None:
    fake = await fake_of()
    seen = await observe(fake.resource, fake.ports())
    rows: list[tuple[Status, tuple[str, str] | None]] = [
        ("isolated", ("True", "QuorumLost")),
        ("full", ("True", "QuorumLost")),  # it answers reads, and takes no write
        ("starting", None),
    ]
    for state, stalled in rows:
        reports = dict(seen.reports)
        for seat in ("spine-a-0", "spine-b-0"):
            report = reports[seat]
            assert report is not None
            reports[seat] = replace(report, status=state)
        shown = conditions(replace(seen, reports=reports))
        assert shown["Available"] == ("False", "QuorumLost")
        assert shown.get("Stalled") == stalled


async def test_a_start_is_no_stall_and_what_is_left_of_a_change_bears_its_name() -> None:
    fake = FakeKubeCluster(replicas=3, topology={"zones": ZONES})
    seen: list[tuple[str, str]] = []  # (type, step) of each operation, in order

    def note(result: ReconcileResult) -> bool:
        if "operation" in fake.status:
            seen.append((fake.status["operation"]["type"], fake.status["operation"]["step"]))
        return is_done(result)

    await fake.settle(note)
    assert {kind for kind, _ in seen} == {"Bootstrap"}
    assert [event["reason"] for event in fake.events()] == ["ClusterCreated"]
    for nodes, kind in ((4, "Join"), (3, "Drain")):
        seen.clear()
        fake.change_spec(replicas=nodes)
        await fake.settle(note)
        assert (kind, "settle") in seen
        assert {shown for shown, _ in seen} == {kind}


async def test_another_configuration_on_one_node_is_not_ready() -> None:
    fake = await fake_of()
    seen = await observe(fake.resource, fake.ports())
    report = seen.reports["spine-a-0"]
    assert report is not None
    reports = {**seen.reports, "spine-a-0": replace(report, config_digest="c1")}
    assert conditions(replace(seen, reports=reports))["Ready"] == ("False", "Blocked")


async def test_blocked_by_names_the_guard() -> None:
    fake = await fake_of()
    fake.change_spec(replicas=4)
    fake.held_back = {"spine-b-0"}
    fake.controllers()
    for _ in range(3):
        await fake.reconcile_pass()
    blocked = fake.status["operation"]["blockedBy"]
    assert blocked["check"] == "MembersVisible"
    assert "spine-b-0" in blocked["message"]


async def test_transition_times_move_only_with_the_status() -> None:
    fake = await fake_of()
    before = fake.condition("Available")["lastTransitionTime"]
    fake.change_spec(replicas=4)
    await fake.settle()
    assert fake.condition("Available")["lastTransitionTime"] == before
    assert fake.condition("Ready")["observedGeneration"] == 2


async def test_states_of_nodes_and_zones() -> None:
    fake = await fake_of(replicas=4)
    fake.nodes.pulling = False
    fake.change_spec(replicas=3)
    while fake.document.change is None:
        await fake.reconcile_pass()
    await fake.reconcile_pass()
    states = {node["seat"]: node["state"] for node in fake.status["nodes"]}
    assert states["spine-a-1"] == "Leaving"
    assert {zone["name"]: zone["state"] for zone in fake.status["zones"]}["a"] == "Draining"
    assert fake.status["operation"]["type"] == "Drain"
    assert fake.status["rebalance"]["state"] == "Running"


def test_merge_patch_is_what_turns_one_into_the_other() -> None:
    before = {"a": 1, "b": {"c": 1, "d": 2}, "e": [1]}
    after = {"b": {"c": 1, "d": 3}, "e": [2], "f": 1}
    assert merge_patch(before, after) == {"a": None, "b": {"d": 3}, "e": [2], "f": 1}
    assert merge_patch(after, after) == {}


def test_a_missing_right_is_shown_and_the_rest_of_the_status_stays() -> None:
    before = {"replicas": 3, "conditions": [{"type": "Available", "status": "True"}]}
    after = stalled_status(before, Stall("OperatorForbidden", "may not"), 2, 0)
    kinds = {one["type"]: one["reason"] for one in after["conditions"] if "reason" in one}
    assert kinds == {"Ready": "Stalled", "Stalled": "OperatorForbidden"}
    assert after["replicas"] == 3


@pytest.mark.parametrize("reason", REASONS)
def test_reasons_have_runbooks(reason: str) -> None:
    assert (RUNBOOKS / f"{reason}.md").read_text().startswith(f"# {reason}\n")


async def test_secret_never_printed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    fake = await fake_of()
    fake.change_spec(replicas=4)
    await fake.settle()
    assert is_done(await fake.reconcile_pass())
    seen = await observe(fake.resource, fake.ports())
    shown = [str(fake.status), str(seen), caplog.text, *map(str, fake.events())]
    values = [text for secret in seen.secrets.values() for text in secret.values()]
    canaries = [text for text in values if "CERTIFICATE" not in text and "https://" not in text]
    assert len(canaries) >= 6
    for canary in canaries:
        assert not any(canary in text for text in shown)


def test_every_guard_that_needs_a_person_has_a_reason_of_its_own() -> None:
    assert set(REASON_OF) == {guard for guard in Guard if guard.needs_human}
    assert len(set(REASON_OF.values())) == len(REASON_OF)
    assert set(REASON_OF.values()) <= set(REASONS)


async def test_a_member_without_its_store_stalls_the_cluster() -> None:
    fake = await fake_of()
    seen = await observe(fake.resource, fake.ports())
    report = seen.reports["spine-b-0"]
    assert report is not None
    other = "00000000-0000-4000-9000-0000000000ff"
    blank = replace(report, store_id=other, cluster_id=None, status="unjoined")
    reports = {**seen.reports, "spine-b-0": blank}
    assert conditions(replace(seen, reports=reports))["Stalled"] == ("True", "StoreLost")


async def test_an_unknown_verdict_needs_no_person() -> None:
    fake = await fake_of()
    seen = await observe(fake.resource, fake.ports())
    wanted = wanted_by(seen.cluster, lambda _seat: None)
    for verdict, reason in ((Block("full"), "NotEnoughDisk"), (Unknown("no report"), None)):
        decision = Blocked(guard=Guard.ROOM_FOR, verdict=verdict, step=Step.PLAN)
        status = build_status(seen, wanted, ReconcilePlan(decision=decision), {})
        stalled = [one["reason"] for one in status["conditions"] if one["type"] == "Stalled"]
        assert stalled == ([reason] if reason else [])
