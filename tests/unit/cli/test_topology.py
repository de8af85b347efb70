"""`spine topology` takes a static cluster from what it is to what its file says, whatever happens."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from memory_spine.effects import Request
from memory_spine.errors import UnexpectedAnswer
from spine_cli.admin import Nodes
from spine_cli.document_file import DocumentChanged, DocumentFile
from spine_cli.environment import Environment
from spine_cli.exits import Exit
from spine_cli.main import app
from spine_cli.runtime import Runtime
from spine_cli.topology_controller import TopologyController, describe
from spine_core.planning.actions import Blocked, Done, Publish, RemoveSeats, Wait
from spine_core.planning.wanted import SeatAddress, Wanted
from spine_core.scalars import StoreNumber
from spine_core.topology.document import Document, StoreInfo
from unit.cli.nodes import SECRET, TOKEN, FakeNode, FakeNodes, store_id_of

THREE = ("n-1", "n-2", "n-3")
FOUR = (*THREE, "n-4")
SLOTS = 64


def _address(seat: str) -> str:
    return f"{seat}.test:8788"


def _first_document(*, slots: int = SLOTS, virtual_nodes: int = 20) -> Document:
    stores = {
        StoreNumber(number): StoreInfo(
            id=store_id_of(seat), seat=seat, zone=seat, url=_address(seat)
        )
        for number, seat in enumerate(THREE, start=1)
    }
    return Document(
        cluster_id="11111111-2222-3333-4444-555555555555",
        epoch=1,
        slots=slots,
        virtual_nodes=virtual_nodes,
        factor=3,
        write_quorum=2,
        zone_policy="strict",
        stores=stores,
        current={store.seat: number for number, store in stores.items()},
        next_number=len(stores) + 1,
    )


def _wanted(seats: tuple[str, ...], factor: int) -> Wanted:
    places = {seat: SeatAddress(zone=seat, url=_address(seat)) for seat in seats}
    return Wanted(name="test", seats=places, factor=factor, virtual_nodes=20, slots=SLOTS)


class CliHarness:
    """A directory, nodes, and controllers that come and go."""

    def __init__(self, directory: Path, document: Document | None) -> None:
        self.file = DocumentFile(directory / "cluster.yaml")
        self.nodes = {seat: FakeNode(seat, document if seat in THREE else None) for seat in FOUR}
        self.net = FakeNodes({_address(seat): node for seat, node in self.nodes.items()})
        self.slept = 0

    def controller(self, seats: tuple[str, ...], factor: int = 3) -> TopologyController:
        return TopologyController(
            wanted=_wanted(seats, factor),
            file=self.file,
            nodes=Nodes(transport=self.net, token=TOKEN, scheme="http"),
            environment=Environment(sleep=self._sleep),
        )

    def apply(self, seats: tuple[str, ...]) -> list[str]:
        """Return what was done, action by action."""
        return [
            f"{type(o.action).__name__} {getattr(o.action, 'step', '')}".strip()
            for o in self.controller(seats).passes()
        ]

    def document(self) -> Document:
        document = self.file.read()
        assert document is not None
        return document

    def _sleep(self, _: float) -> None:
        self.slept += 1
        assert self.slept < 500, "this never ends"


@pytest.fixture
def harness(tmp_path: Path) -> CliHarness:
    return CliHarness(tmp_path, _first_document())


JOIN = [
    *("Publish prepare", "Push push"),
    *("Publish switch", "Push push"),
    *("Publish commit", "Push settle"),
    "Done",
]


def test_a_new_node_of_the_file_joins_phase_by_phase(harness: CliHarness) -> None:
    assert harness.apply(FOUR) == JOIN
    assert set(harness.document().current) == set(FOUR)
    assert all(node.document == harness.document() for node in harness.nodes.values())


def test_a_node_taken_from_the_file_is_drained_and_named(harness: CliHarness) -> None:
    harness.apply(FOUR)
    *_, last = harness.controller(THREE).passes()
    assert last.action == RemoveSeats(seats=("n-4",))
    assert set(harness.document().current) == set(THREE)
    assert harness.document().retired == {4: store_id_of("n-4")}


def test_applying_again_changes_nothing(harness: CliHarness) -> None:
    harness.apply(FOUR)
    epoch = harness.document().epoch
    assert harness.apply(FOUR) == ["Done"]
    assert harness.document().epoch == epoch


@pytest.mark.parametrize("fatal", range(1, 30))
def test_a_run_that_dies_anywhere_is_finished_by_the_next(fatal: int, harness: CliHarness) -> None:
    asked = 0

    def die(_: Request) -> None:
        nonlocal asked
        asked += 1
        if asked == fatal:
            raise KeyboardInterrupt

    harness.net.before = die
    try:
        harness.apply(FOUR)
    except KeyboardInterrupt:
        assert harness.apply(FOUR)[-1] == "Done"
    assert set(harness.document().current) == set(FOUR)
    _check_chain(harness.net.published)


def _check_chain(published: list[bytes]) -> None:
    """Every epoch was published as one document only, each naming the one before."""
    documents = {doc.epoch: doc for doc in _documents(published)}
    for document in _documents(published):
        assert document == documents[document.epoch]
    for epoch, document in documents.items():
        if epoch - 1 in documents:
            assert document.previous == documents[epoch - 1].digest()


def _documents(published: list[bytes]) -> Iterator[Document]:
    return (Document.from_json(json.loads(body)) for body in published)


def test_nothing_is_pushed_that_is_not_on_the_disk(harness: CliHarness) -> None:
    def look(request: Request) -> None:
        if request.method == "PUT":
            assert request.body == harness.document().canonical()

    harness.net.before = look
    assert harness.apply(FOUR) == JOIN


def test_of_two_people_at_once_one_publishes(harness: CliHarness) -> None:
    first, second = harness.controller(FOUR).passes(), harness.controller(FOUR).passes()
    next(first), next(second)  # both have decided to publish epoch 2
    for _ in range(40):
        next(first, None), next(second, None)
    assert set(harness.document().current) == set(FOUR)
    _check_chain(harness.net.published)


def test_a_document_is_replaced_only_by_its_successor(tmp_path: Path) -> None:
    file = DocumentFile(tmp_path / "cluster.yaml")
    first = _first_document()
    file.publish(first)
    joining = StoreInfo(id=store_id_of("n-4"), seat="n-4", zone="n-4", url=_address("n-4"))
    second = first.with_change("join", joining=(joining,), now_ms=1)
    other = first.with_change("join", joining=(joining,), now_ms=2)
    file.publish(second)
    with pytest.raises(DocumentChanged):
        file.publish(other)
    assert file.read() == second


def test_without_a_local_document_the_newest_of_the_nodes_is_taken(harness: CliHarness) -> None:
    harness.apply(FOUR)
    newest = harness.document()
    harness.nodes["n-2"].document = _first_document()  # it was down, and missed everything
    harness.file.path.unlink()
    observation = harness.controller(FOUR).observe()
    assert observation.document == newest
    assert not harness.file.path.exists()


def test_a_look_writes_nothing(harness: CliHarness) -> None:
    action = harness.controller(FOUR).observe().action
    assert isinstance(action, Publish)
    assert not harness.file.path.exists()
    assert describe(action)["joining"] == ["n-4"]
    assert sum(describe(action)["slots_gained"].values()) > 0


def test_the_first_document_is_left_to_the_first_node(tmp_path: Path) -> None:
    harness = CliHarness(tmp_path, None)
    action = harness.controller(THREE).observe().action
    assert isinstance(action, Wait)
    assert "n-1 makes it" in action.message
    assert not harness.net.published


def test_a_node_that_is_down_delays_and_never_skips_a_phase(harness: CliHarness) -> None:
    harness.nodes["n-4"].up = False
    passes = harness.controller(FOUR).passes()
    seen = [next(passes).action for _ in range(5)]
    assert not any(isinstance(action, Publish) for action in seen)
    harness.nodes["n-4"].up = True
    assert [type(o.action) for o in passes][-1] is Done


def test_a_node_that_adopted_something_else_has_not_adopted(harness: CliHarness) -> None:
    harness.nodes["n-1"].lies = True
    with pytest.raises(UnexpectedAnswer, match="another document"):
        harness.controller(THREE).nodes.adopt(
            _address("n-1"), store_id_of("n-1"), _first_document()
        )


def test_what_cannot_change_ends_the_run_and_says_so(harness: CliHarness) -> None:
    *_, last = harness.controller(THREE, factor=2).passes()
    assert isinstance(last.action, Blocked)
    assert "factor cannot change" in describe(last.action)["message"]


def test_a_newer_document_elsewhere_stops_everything(harness: CliHarness) -> None:
    harness.apply(FOUR)
    harness.file.path.write_bytes(_first_document().canonical())  # an old copy came back
    *_, last = harness.controller(THREE).passes()
    assert isinstance(last.action, Blocked)
    assert last.action.guard == "DocumentWhole"


CLUSTER = """
cluster:
  name: test
  nodes:
{nodes}
"""


def _command(harness: CliHarness, directory: Path, *arguments: str) -> tuple[int, str, str]:
    nodes = [f"  - {{id: {s}, host: {s}.test, zone: {s}}}" for s in harness.nodes]
    path = directory / "cluster.yaml"
    path.write_text(CLUSTER.format(nodes="\n".join(nodes)))
    (directory / "cluster.secret").write_bytes(SECRET)
    runtime = Runtime(transport=harness.net, environment=Environment(sleep=harness._sleep))
    done = CliRunner().invoke(app, ["topology", *arguments, "--cluster", str(path)], obj=runtime)
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def full_size(tmp_path: Path) -> CliHarness:
    """A cluster with the parameters that a file has when it says nothing."""
    return CliHarness(tmp_path, _first_document(slots=4096, virtual_nodes=150))


def test_the_command_plans_applies_and_shows(full_size: CliHarness, tmp_path: Path) -> None:
    code, plan, _ = _command(full_size, tmp_path, "plan")
    assert (code, json.loads(plan)["joining"]) == (Exit.OK, ["n-4"])
    code, result, told = _command(full_size, tmp_path, "apply")
    assert (code, json.loads(result)["action"]) == (Exit.OK, "done")
    assert told.startswith("epoch 1  prepare: join of n-4")
    code, status, _ = _command(full_size, tmp_path, "status")
    facts = json.loads(status)
    assert (facts["epoch"], facts["phase"]) == (4, "stable")
    assert [node["status"] for node in facts["nodes"]] == ["ok"] * 4


def test_apply_gives_up_when_it_is_told_to(full_size: CliHarness, tmp_path: Path) -> None:
    full_size.nodes["n-4"].up = False
    code, result, _ = _command(full_size, tmp_path, "apply", "--timeout", "0")
    assert code == Exit.UNAVAILABLE
    assert json.loads(result)["action"] in {"wait", "blocked"}
