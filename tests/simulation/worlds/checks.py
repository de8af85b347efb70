"""What must hold of the history of a world."""

import json
import math
from collections import defaultdict

from simulation.worlds.history import Event, WorldHistory
from simulation.worlds.linearizable import Operation, is_linearizable
from spine_core.records.consistency import Model
from spine_core.records.versions import ABSENT, Version

NOBODY_S = 1.0  # between two operations that the check takes for one behind the other
REFUSALS = {  # of a healed cluster, by what others have done
    "precondition-failed", "not-found", "fence-stale", "fence-required", "guard-conflict", "gone",
    "idempotency-key-reused", "validation-failed",
}  # fmt: skip
_LIVE = {"create": False, "count": False, "stamp": True, "patch": True, "touch": True}


def check_history(history: WorldHistory) -> int:
    """Check all keys; return how many linearizability checks took too long."""
    unknown = 0
    for key in history.keys:
        events = [*history.of_key(key)]
        check_operations(events)
        check_known(events)
        if key.startswith(("mixed", "register", "counter", "patched", "fenced")):
            unknown += check_linearizable(key, events)
        if key.startswith("counter"):
            check_counter(events)
        if key.startswith("patched"):
            check_patched(events)
        if key.startswith("fenced"):
            check_fences(events)
    check_lists(history)
    check_served(history)
    return unknown


def check_operations(events: list[Event]) -> None:
    """One version is one write's, one body; a change is made once; what failed has no effect."""
    by_version: dict[bytes, tuple[int, bytes | None]] = {}
    made: dict[int, set[bytes]] = defaultdict(set)  # op → its strong versions
    failed = {event.op: event for event in events if event.is_write and event.outcome == "fail"}
    written = {event.op for event in events if event.is_write}
    for event in events:
        if event.read_op == 0 or event.version == ABSENT:
            continue
        held = event.read_op, event.body
        before = by_version.setdefault(event.version[1:], held)
        assert before == held, f"version {event.version.hex()} has two values: {before} {event}"
        assert event.read_op in written, f"nobody wrote what was found: {event}"
        assert event.read_op not in failed, f"{failed[event.read_op]} took effect, as {event} shows"
        if event.is_strong:
            made[event.read_op].add(event.version[1:])
    for op, versions in made.items():
        assert len(versions) == 1, f"operation {op} was made {len(versions)} times: {versions}"


def check_known(events: list[Event]) -> None:
    """Hold every answer to those that had been given before its question was asked."""
    known = sorted(
        (event.ended_s, event.version)
        for event in events
        if event.outcome == "ok" and (event.is_write or event.is_quorum_read)
    )

    def known_at(moment_s: float) -> Version:
        return max((v for ended_s, v in known if ended_s < moment_s), default=ABSENT)

    versions: set[bytes] = set()
    for event in events:
        if event.outcome != "ok":
            continue
        if event.is_write and event.action not in {"touch", "stamp"}:
            floor = known_at(event.began_s)
            assert event.version > floor, f"{event} is shadowed by {floor.hex()}"
            assert event.version not in versions, f"two writes have one version: {event}"
            versions.add(event.version)
        elif event.is_quorum_read:
            floor = known_at(event.began_s)
            assert event.version >= floor, f"{event} missed {floor.hex()}"
        if event.action == "read" and event.model is not Model.EVENTUAL:
            assert event.version >= event.needed, f"{event} missed its session's own write"


def check_linearizable(key: str, events: list[Event]) -> int:
    """Check the register of a key, from where the first answer shows that it is one."""
    strong = [event for event in events if event.is_strong and event.outcome == "ok"]
    if not strong:
        return 0
    since_s = min(event.ended_s for event in strong)
    seen = {e.read_op: e.version for e in events if e.action == "read" and e.is_strong}
    seen |= {e.found_op: e.found for e in events if e.found and e.found[0]}
    dead = frozenset(
        [bytes(13)]
        + [event.version[1:] for event in events if event.read_op and event.body is None]
        + [_unseen(event)[1:] for event in events if _deletes(event)]
        + [event.version[1:] for event in events if _deletes(event) and event.outcome == "ok"]
    )
    operations = []
    for event in events:
        if event.ended_s < since_s:
            continue
        made = _operation(event, seen.get(event.op, ABSENT), since_s)
        if made is not None:
            operations.append(made)
    for op, version in seen.items():  # written before, and shown for the first time since
        begun = [e for e in events if e.op == op and e.ended_s < since_s and e.outcome == "info"]
        if begun and begun[0].version == ABSENT:
            operations.append(Operation(begun[0].began_s, math.inf, None, version[1:], name="late"))
    verdict = is_linearizable(operations, dead)
    assert verdict is not False, f"{key} is not linearizable since {since_s:.3f}: {operations}"
    return verdict is None


def _operation(event: Event, shown: Version, since_s: float) -> Operation | None:
    if event.action == "read" or event.outcome == "fail":
        return _observation(event) if event.began_s > since_s else None
    version = event.version if event.outcome == "ok" else shown
    if version == ABSENT and event.outcome == "info":
        version = _unseen(event)  # what a create or a patch finds is told to nobody
    if version == ABSENT or version[0] == 0:
        return None  # not seen, or a weak write from before
    before = None if event.expected is None else frozenset([event.expected[1:]])
    ended_s = event.ended_s if event.outcome == "ok" else math.inf
    live = _LIVE.get(event.action) if event.expected is None else None
    return Operation(event.began_s, ended_s, before, version[1:], live=live, name=f"{event.action}")


def _observation(event: Event) -> Operation | None:
    """Return what a quorum read, or a refused condition, says of the state."""
    if event.is_quorum_read and event.outcome == "ok":
        found = frozenset([event.version[1:] if event.version != ABSENT else bytes(13)])
        return Operation(event.began_s, event.ended_s, found, None, name="read")
    if event.code != "precondition-failed" or event.found is None:
        return None
    live = event.found != ABSENT
    current = frozenset([event.found[1:]]) if live else None
    return Operation(event.began_s, event.ended_s, current, None, live=live, name="refused")


def _deletes(event: Event) -> bool:
    return event.body is None and event.action in {"delete", "strong-delete", "swap"}


def _unseen(event: Event) -> Version:
    """Return a version for a write that nobody has seen, and that may have been made."""
    return Version(b"\x01" + event.op.to_bytes(13, "big"))


def _final(events: list[Event]) -> Event | None:
    reads = [event for event in events if event.is_quorum_read and event.outcome == "ok"]
    return max(reads, key=lambda event: event.ended_s, default=None)


def check_counter(events: list[Event]) -> None:
    """N of N: the last value has every acknowledged name once, and the others at most once."""
    last = _final(events)
    if last is None or last.body is None:
        assert not [e for e in events if e.action == "count" and e.outcome == "ok"], "all is lost"
        return
    names = json.loads(last.body)["content"].split(",")
    assert len(names) == len(set(names)), f"doubled: {last}"
    for event in events:
        if event.action != "count" or event.body is None:
            continue
        mine = json.loads(event.body)["content"].split(",")[-1]
        assert event.outcome != "ok" or mine in names, f"lost: {event}; last {last}"
        assert event.outcome != "fail" or mine not in names, f"failed, and there: {event}"


def check_patched(events: list[Event]) -> None:
    """Every acknowledged patch is part of the last value, unless it was put anew since."""
    last = _final(events)
    patches = [event for event in events if event.action == "patch" and event.outcome == "ok"]
    if patches:
        assert last is not None, "nobody read"
        assert last.body is not None, f"patches without a value: {last}"
        held = [event for event in patches if event.version <= last.version and event.body]
        names = json.loads(last.body)["metadata"].keys()
        for event in held:
            assert event.body is not None, "held"
            lacking = json.loads(event.body)["metadata"].keys() - names
            assert not lacking, f"lost {lacking}: {event}; last {last}"


def check_fences(events: list[Event]) -> None:
    """No write with a lower fence, or none, is made behind an acknowledged one with a higher."""
    for event in events:
        if event.outcome != "ok" or not event.is_write:
            continue
        passed = max(
            (e.fence for e in events if e.outcome == "ok" and e.ended_s < event.began_s), default=0
        )
        assert event.fence >= passed, f"fence {passed} had been there: {event}"


def check_lists(history: WorldHistory) -> None:
    """A whole list of the stronger models shows what was known, and each record once."""
    for listing in history.listings:
        assert not listing.repeated, f"shown twice: {listing}"
        if not listing.is_whole or listing.model not in {Model.CAUSAL, Model.STRONG}:
            continue
        for key in history.keys:
            events = [*history.of_key(key)]
            floor = max(
                (
                    e.version
                    for e in events
                    if e.ended_s < listing.began_s
                    and e.outcome == "ok"
                    and (e.is_write or e.is_quorum_read)
                ),
                default=ABSENT,
            )
            if key in listing.found:
                assert listing.found[key] >= floor, f"{key} is old in {listing}: {floor.hex()}"
            elif floor != ABSENT:
                assert any(
                    e.is_write
                    and e.outcome != "fail"
                    and e.body is None
                    and e.began_s < listing.ended_s
                    and (e.outcome == "info" or e.version >= floor)
                    for e in events
                ), f"{key} is missing in {listing}: {floor.hex()}"


def check_served(history: WorldHistory) -> None:
    """Liveness: whoever asks a ready node of a healed cluster is answered."""
    for event in history.events:
        if event.strict:
            assert event.outcome == "ok" or event.code in REFUSALS, (
                f"a healed cluster refused {event}"
            )
