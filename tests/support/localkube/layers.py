"""A pytest plugin: decides which layers of tests can run here, and says so.

A layer is the folders whose tests need the same of the machine. One that cannot run is skipped
loudly, with the command that would enable it; `SPINE_REQUIRE=control-plane,real-nodes` makes that
an error before the first test. Invariant: a test is skipped by this plugin or not at all; any other
skip counts as a failure.
"""

import os
import platform
import shutil
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pytest

from localkube.tools import State, state

TESTS = Path(__file__).parents[2]
BUILD_DEADLINE_S = 1800  # a cold build beside the other layers' tests
CAP_NET_ADMIN, CAP_SYS_ADMIN = 12, 21  # bits of CapEff, capabilities(7)
NODE_PROGRAMS = ("conntrack", "ip", "nft", "nsenter", "setpriv", "unshare")


class Layer(StrEnum):
    """What a test needs, from little to much; SPINE_REQUIRE names them."""

    PURE = "pure"  # Python
    RECONCILE = "reconcile"  # the same: the operator on a double of its ports, the HTTP contract
    MUTANTS = "mutants"
    PROCESSES = "processes"  # nodes as processes on loopback
    CONTROL_PLANE = "control-plane"  # a real API server, without kubelets
    REAL_NODES = "real-nodes"  # kubelets, and root for them


FOLDERS = {  # layer -> its folders under tests
    Layer.PURE: ("unit", "models", "simulation"),
    Layer.RECONCILE: ("operator", "contract"),
    Layer.MUTANTS: ("mutants",),
    Layer.PROCESSES: ("cluster",),
    Layer.CONTROL_PLANE: ("kube",),
    Layer.REAL_NODES: ("e2e",),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a layer runs; a layer with an obstacle does not."""

    layer: Layer
    obstacle: str = ""
    command: str = ""  # that would enable it
    building: bool = False  # its programs are on their way

    def line(self) -> str:
        """Return the verdict as a row of the table."""
        fact = "skipped" if self.obstacle else "runs"
        return f"  {self.layer:13}  {fact:8} {self.obstacle:48} {self.command}".rstrip()


def layer_of(path: Path) -> Layer:
    """Return the layer of a test file."""
    folder = path.relative_to(TESTS).parts[0] if path.is_relative_to(TESTS) else ""
    return next((layer for layer, folders in FOLDERS.items() if folder in folders), Layer.PURE)


def judge(layer: Layer) -> Verdict:
    """Look at this machine and decide about one layer."""
    match layer:
        case Layer.CONTROL_PLANE:
            return _judge_tools(layer, "control", "make tools")
        case Layer.REAL_NODES:
            return _judge_nodes()
        case _:
            return Verdict(layer)


def _judge_tools(layer: Layer, group: str, command: str) -> Verdict:
    if platform.system() != "Linux":
        return Verdict(layer, "needs Linux")
    match state(group):
        case State.MISSING:
            return Verdict(layer, "Kubernetes is not built", command)
        case found:
            return Verdict(layer, building=found is State.BUILDING)


def _judge_nodes() -> Verdict:
    layer = Layer.REAL_NODES
    verdict = _judge_tools(layer, "nodes", "make setup-root tools")
    if verdict.obstacle:
        return verdict
    if not _has_capabilities():
        return Verdict(layer, "needs root with CAP_SYS_ADMIN and CAP_NET_ADMIN", "sudo make test")
    missing = [name for name in NODE_PROGRAMS if not shutil.which(name)]
    if missing:
        return Verdict(layer, f"programs missing: {' '.join(missing)}", "sudo make setup-root")
    return verdict


def _has_capabilities() -> bool:
    status = Path("/proc/self/status").read_text().splitlines()
    effective = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff"))
    return os.geteuid() == 0 and all(effective >> bit & 1 for bit in (CAP_NET_ADMIN, CAP_SYS_ADMIN))


@dataclass(slots=True, eq=False)  # a plugin is itself: pytest puts it into sets
class LayersPlugin:
    """One session's verdicts."""

    required: frozenset[Layer]  # layers whose absence is an error
    verdicts: dict[Layer, Verdict]  # layer -> verdict; of the collected tests

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Judge the layers of the collected tests and mark those that cannot run.

        Raises:
            pytest.UsageError: one of them is required.
        """
        for layer in sorted({layer_of(item.path) for item in items}):
            verdict = self.verdicts[layer] = judge(layer)
            if verdict.obstacle and layer in self.required:
                raise pytest.UsageError(f"SPINE_REQUIRE names a layer:\n{verdict.line()}")
        for item in items:
            verdict = self.verdicts[layer_of(item.path)]
            if verdict.obstacle:
                item.add_marker(pytest.mark.skip(f"{verdict.layer}: {verdict.obstacle}"))
            elif verdict.building:
                item.add_marker(pytest.mark.timeout(BUILD_DEADLINE_S))

    def pytest_report_collectionfinish(self) -> Sequence[str]:
        """Print the table before the first test."""
        return self._table()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table again at the end, where it will be read."""
        if any(verdict.obstacle for verdict in self.verdicts.values()):
            terminalreporter.section("layers")
            terminalreporter.write_line("\n".join(self._table()))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Turn a skip inside a layer that runs into a failure."""
        report = yield
        if report.skipped and not self.verdicts[layer_of(item.path)].obstacle:
            report.outcome = "failed"
            report.longrepr = f"skipped in a layer that runs: {report.longrepr}"
        return report

    def _table(self) -> list[str]:
        return [verdict.line() for _, verdict in sorted(self.verdicts.items())]


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin with what the environment requires.

    Raises:
        pytest.UsageError: no layer has such a name.
    """
    names = [name for name in os.environ.get("SPINE_REQUIRE", "").split(",") if name]
    if unknown := set(names) - {*Layer}:
        raise pytest.UsageError(
            f"SPINE_REQUIRE: no layer is called {', '.join(sorted(unknown))}; there are "
            f"{', '.join(Layer)}"
        )
    config.pluginmanager.register(LayersPlugin(frozenset(map(Layer, names)), {}), "spine-layers")
