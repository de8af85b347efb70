"""The operator behind a proxy that kills it, refuses it and hangs up on it, while agents work.

One cluster of real nodes for the whole file: every test leaves it Ready with three. SPINE_SEED
chooses which writes the operator is killed at; `SPINE_KILL_AT=all` takes every one.
"""

import itertools
import os
import random
import signal
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from faultproxy import BackgroundLoop, Cut, Delay, FaultProxy, Refuse, Request, Rule
from faultproxy.faults import Fault
from localkube.clock import until
from localkube.controlplane import ControlPlane
from localkube.fixtures import fresh_namespace
from operatorlab.agents_at_work import agents_at_work
from operatorlab.lab import Lab

STORAGE = {"size": "1Gi", "whenScaledDown": "Delete", "keepFor": "0s"}
EPOCHS = 3  # of a change: prepare, switch, commit
WRITES_MAX = 40  # of a change; 21 to 24 when nothing goes wrong
SEED = os.environ.get("SPINE_SEED", "1")
STEP = 1 if os.environ.get("SPINE_KILL_AT") == "all" else 5
WRITTEN = (  # in every change
    "statefulsets",
    "configmaps",
    "persistentvolumeclaims",
    "memoryspineclusters/status",
    "events",
)
WATCHED = 5  # kinds: the custom resource and those of its children that can wake a daemon


@dataclass(frozen=True)
class ProxiedLab:
    """A lab whose operator reaches the API server through the proxy."""

    lab: Lab
    proxy: FaultProxy
    background: BackgroundLoop

    def ask_for(self, nodes: int) -> int:
        """Apply the custom resource; return its generation."""
        generation: int = self.lab.apply(replicas=nodes, storage=STORAGE)["metadata"]["generation"]
        return generation

    def scale(self, nodes: int) -> None:
        """Change the number of nodes; each epoch is one more than the one before."""
        epoch = self.lab.document()["epoch"]
        self.lab.wait_ready(self.ask_for(nodes))
        self.see(nodes, epoch + EPOCHS)

    def see(self, nodes: int, epoch: int) -> None:
        document = self.lab.document()
        assert (len(document["current"]), document["epoch"]) == (nodes, epoch)

    def scale_killed(self, nodes: int, n: int) -> int:
        """The same with the operator killed after its n-th write; return how many writes it made."""
        epoch = self.lab.document()["epoch"]
        kill = Cut(forwarded=True, strike=partial(os.kill, self.lab.operator_pid, signal.SIGKILL))
        rule = Rule(is_counted, kill, first=n, times=1)
        with self.proxy.rules(rule):
            generation = self.ask_for(nodes)
            what = f"write {n}, or {nodes} nodes"
            until(what, lambda: rule.hits or self.lab.in_force(generation), deadline_s=90)
        if rule.hits:
            self.lab.kill_operator()
            self.lab.start_operator()
        self.lab.wait_ready(generation)
        self.see(nodes, epoch + EPOCHS)
        return rule.seen


def is_counted(request: Request) -> bool:
    """Whether it is a write; renewals of the Lease come at any time and are not counted."""
    return request.writes and request.resource != "leases"


@pytest.fixture(scope="module")
def proxied(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProxiedLab]:
    root, plan = tmp_path_factory.mktemp("lab"), control_plane.plan
    tls = ssl.create_default_context(cafile=plan.pki.file("ca.crt"))
    for namespace in fresh_namespace(control_plane.kubectl, "operator-killed"):
        with (
            BackgroundLoop() as background,
            FaultProxy(background, plan.server, tls) as proxy,
            Lab(control_plane, namespace, root) as lab,
        ):
            lab.go_through(proxy.url)
            lab.start_operator()
            proxied = ProxiedLab(lab, proxy, background)
            lab.wait_ready(proxied.ask_for(3))
            yield proxied
            assert "Traceback" not in lab.log.read_text(), lab.log.read_text()[-4000:]


@pytest.mark.timeout(1800)
def test_an_operator_killed_after_any_write_ends_the_change_when_it_is_started_again(
    proxied: ProxiedLab,
) -> None:
    enough = max if STEP == 1 else min  # all writes of both changes, or a sample
    offset = random.Random(SEED).randint(1, STEP)
    sys.stdout.write(f"SPINE_SEED={SEED}: killed after writes {offset}, {offset + STEP}, ...\n")
    with agents_at_work(proxied.lab, proxied.background):
        for n in itertools.count(offset, STEP):
            writes = [proxied.scale_killed(nodes, n) for nodes in (4, 3)]
            sys.stdout.write(f"after write {n}: {writes[0]} writes up, {writes[1]} down\n")
            assert max(writes) <= WRITES_MAX
            if enough(writes) < n:  # nobody was killed
                break


def test_conflicts_and_too_many_requests_only_take_time(proxied: ProxiedLab) -> None:
    conflicts = once_each(Refuse(status=409))
    refusals = once_each(Refuse(status=429, retry_after_s=1))
    with agents_at_work(proxied.lab, proxied.background):
        with proxied.proxy.rules(*conflicts):
            proxied.scale(4)
        with proxied.proxy.rules(*refusals):
            proxied.scale(3)
    assert [rule.hits for rule in (*conflicts, *refusals)] == [1] * 10


def test_lost_answers_lost_watches_and_a_slow_server_only_take_time(proxied: ProxiedLab) -> None:
    lost = once_each(Cut(forwarded=True))
    slow = Rule(lambda request: request.verb == "get", Delay(0.2), times=20)
    with agents_at_work(proxied.lab, proxied.background):
        with proxied.proxy.rules(*lost):
            proxied.scale(4)
        assert proxied.proxy.cut_streams() >= WATCHED
        with proxied.proxy.rules(slow):
            epoch, generation = proxied.lab.document()["epoch"], proxied.ask_for(3)
            until("in force", partial(in_force_without_watches, proxied, generation), deadline_s=90)
        proxied.see(3, epoch + EPOCHS)
    assert [rule.hits for rule in (*lost, slow)] == [*[1] * 5, 20]


def test_an_operator_starts_while_each_of_its_first_calls_is_refused(proxied: ProxiedLab) -> None:
    """As right after its definition was installed, or beside a control plane that starts."""
    proxied.lab.kill_operator()
    refusals = [
        Rule(partial(is_call, "get", ""), Refuse(status=404), times=1),  # discovery
        Rule(partial(is_call, "get", ""), Refuse(status=503), times=1),
        *(
            Rule(partial(is_call, verb, resource), Refuse(status=429, retry_after_s=1), times=1)
            for resource in ("memoryspineclusters", "statefulsets")
            for verb in ("get", "watch")
        ),
    ]
    with proxied.proxy.rules(*refusals):
        proxied.lab.start_operator()
        proxied.lab.wait_ready(proxied.ask_for(3))
        until("every call refused once", lambda: all(rule.hits for rule in refusals))
    assert "not_served_yet" in proxied.lab.log.read_text()


def test_at_rest_nothing_is_written_in_ten_passes(proxied: ProxiedLab) -> None:
    proxied.lab.run_passes(2)
    before = writes(proxied.proxy)
    proxied.lab.run_passes(10)
    assert writes(proxied.proxy) == before


def is_call(verb: str, resource: str, request: Request) -> bool:
    return (request.verb, request.resource) == (verb, resource)


def once_each(fault: Fault) -> list[Rule]:
    """Return rules by which a change meets the fault once in each kind of write."""

    def writes_of(resource: str, request: Request) -> bool:
        return request.writes and request.resource == resource

    return [Rule(partial(writes_of, resource), fault, times=1) for resource in WRITTEN]


def in_force_without_watches(proxied: ProxiedLab, generation: int) -> bool:
    """Cut every watch, then look: none lives longer than a moment."""
    proxied.proxy.cut_streams()
    return proxied.lab.in_force(generation)


def writes(proxy: FaultProxy) -> int:
    return sum(count for request, count in proxy.counts.items() if is_counted(request))
