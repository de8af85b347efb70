"""`spine topology` takes a static cluster from what it is to what its file says, whatever happens."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from memory_spine.effects import Request
from memory_spine.errors import UnexpectedAnswer
from spine_cli.admin import Nodes
from spine_cli.clock import Ambience
from spine_cli.document_file import DocumentChanged, DocumentFile
from spine_cli.exits import Exit
from spine_cli.main import app
from spine_cli.operating import Steward, describe
from spine_cli.runtime import Runtime
from spine_core.planning.actions import Blocked, Done, Publish, RemoveSeats, Wait
from spine_core.planning.wanted import SeatAddress, Wanted
from spine_core.topology.document import Document, StoreInfo
from unit.cli.nodes import SECRET, TOKEN, FakeNode, FakeNodes, store_id_of

THREE = ("n-1", "n-2", "n-3")
FOUR = (*THREE, "n-4")
SLOTS = 64


def _address(seat: str) -> str:
    return f"{seat}.test:8788"


def _first_document(*, slots: int = SLOTS, virtual_nodes: int = 20) -> Document:
    stores = {
        number: StoreInfo(id=store_id_of(seat), seat=seat, zone=seat, url=_address(seat))
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


class Bench:
    """A directory, nodes, and stewards that come and go."""

    def __init__(self, directory: Path, document: Document | None) -> None:
        self.file = DocumentFile(directory / "cluster.yaml")
        self.nodes = {seat: FakeNode(seat, document if seat in THREE else None) for seat in FOUR}
        self.net = FakeNodes({_address(seat): node for seat, node in self.nodes.items()})
        self.slept = 0

    def steward(self, seats: tuple[str, ...], factor: int = 3) -> Steward:
        return Steward(
            wanted=_wanted(seats, factor),
            file=self.file,
            nodes=Nodes(transport=self.net, token=TOKEN, scheme="http"),
            ambience=Ambience(sleep=self._sleep),
        )

    def apply(self, seats: tuple[str, ...]) -> list[str]:
        """Return what was done, action by action."""
        return [
            f"{type(o.action).__name__} {getattr(o.action, 'step', '')}".strip()
            for o in self.steward(seats).turns()
        ]

    def document(self) -> Document:
        document = self.file.read()
        assert document is not None
        return document

    def _sleep(self, _: float) -> None:
        self.slept += 1
        assert self.slept < 500, "this never ends"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, _first_document())


JOIN = [
    *("Publish prepare", "Push push"),
    *("Publish switch", "Push push"),
    *("Publish commit", "Push settle"),
    "Done",
]


def test_a_new_node_of_the_file_joins_phase_by_phase(bench: Bench) -> None:
    assert bench.apply(FOUR) == JOIN
    assert set(bench.document().current) == set(FOUR)
    assert all(node.document == bench.document() for node in bench.nodes.values())


def test_a_node_taken_from_the_file_is_drained_and_named(bench: Bench) -> None:
    bench.apply(FOUR)
    *_, last = bench.steward(THREE).turns()
    assert last.action == RemoveSeats(seats=("n-4",))
    assert set(bench.document().current) == set(THREE)
    assert bench.document().retired == {4: store_id_of("n-4")}


def test_applying_again_changes_nothing(bench: Bench) -> None:
    bench.apply(FOUR)
    epoch = bench.document().epoch
    assert bench.apply(FOUR) == ["Done"]
    assert bench.document().epoch == epoch


@pytest.mark.parametrize("fatal", range(1, 30))
def test_a_run_that_dies_anywhere_is_finished_by_the_next(fatal: int, bench: Bench) -> None:
    asked = 0

    def die(_: Request) -> None:
        nonlocal asked
        asked += 1
        if asked == fatal:
            raise KeyboardInterrupt

    bench.net.before = die
    try:
        bench.apply(FOUR)
    except KeyboardInterrupt:
        assert bench.apply(FOUR)[-1] == "Done"
    assert set(bench.document().current) == set(FOUR)
    _check_chain(bench.net.published)


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


def test_nothing_is_pushed_that_is_not_on_the_disk(bench: Bench) -> None:
    def look(request: Request) -> None:
        if request.method == "PUT":
            assert request.body == bench.document().canonical()

    bench.net.before = look
    assert bench.apply(FOUR) == JOIN


def test_of_two_people_at_once_one_publishes(bench: Bench) -> None:
    first, second = bench.steward(FOUR).turns(), bench.steward(FOUR).turns()
    next(first), next(second)  # both have decided to publish epoch 2
    for _ in range(40):
        next(first, None), next(second, None)
    assert set(bench.document().current) == set(FOUR)
    _check_chain(bench.net.published)


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


def test_without_a_local_document_the_newest_of_the_nodes_is_taken(bench: Bench) -> None:
    bench.apply(FOUR)
    newest = bench.document()
    bench.nodes["n-2"].document = _first_document()  # it was down, and missed everything
    bench.file.path.unlink()
    outlook = bench.steward(FOUR).look()
    assert outlook.document == newest
    assert not bench.file.path.exists()


def test_a_look_writes_nothing(bench: Bench) -> None:
    action = bench.steward(FOUR).look().action
    assert isinstance(action, Publish)
    assert not bench.file.path.exists()
    assert describe(action)["joining"] == ["n-4"]
    assert sum(describe(action)["slots_gained"].values()) > 0


def test_the_first_document_is_left_to_the_first_node(tmp_path: Path) -> None:
    bench = Bench(tmp_path, None)
    action = bench.steward(THREE).look().action
    assert isinstance(action, Wait)
    assert "n-1 makes it" in action.message
    assert not bench.net.published


def test_a_node_that_is_down_delays_and_never_skips_a_phase(bench: Bench) -> None:
    bench.nodes["n-4"].up = False
    turns = bench.steward(FOUR).turns()
    seen = [next(turns).action for _ in range(5)]
    assert not any(isinstance(action, Publish) for action in seen)
    bench.nodes["n-4"].up = True
    assert [type(o.action) for o in turns][-1] is Done


def test_a_node_that_adopted_something_else_has_not_adopted(bench: Bench) -> None:
    bench.nodes["n-1"].lies = True
    with pytest.raises(UnexpectedAnswer, match="another document"):
        bench.steward(THREE).nodes.adopt(_address("n-1"), store_id_of("n-1"), _first_document())


def test_what_cannot_change_ends_the_run_and_says_so(bench: Bench) -> None:
    *_, last = bench.steward(THREE, factor=2).turns()
    assert isinstance(last.action, Blocked)
    assert "factor cannot change" in describe(last.action)["message"]


def test_a_newer_document_elsewhere_stops_everything(bench: Bench) -> None:
    bench.apply(FOUR)
    bench.file.path.write_bytes(_first_document().canonical())  # an old copy came back
    *_, last = bench.steward(THREE).turns()
    assert isinstance(last.action, Blocked)
    assert last.action.guard == "DocumentWhole"


CLUSTER = """
cluster:
  name: test
  nodes:
{nodes}
"""


def _command(bench: Bench, directory: Path, *arguments: str) -> tuple[int, str, str]:
    nodes = [f"  - {{id: {s}, host: {s}.test, zone: {s}}}" for s in bench.nodes]
    path = directory / "cluster.yaml"
    path.write_text(CLUSTER.format(nodes="\n".join(nodes)))
    (directory / "cluster.secret").write_bytes(SECRET)
    runtime = Runtime(transport=bench.net, ambience=Ambience(sleep=bench._sleep))
    done = CliRunner().invoke(app, ["topology", *arguments, "--cluster", str(path)], obj=runtime)
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def full_size(tmp_path: Path) -> Bench:
    """A cluster with the parameters that a file has when it says nothing."""
    return Bench(tmp_path, _first_document(slots=4096, virtual_nodes=150))


def test_the_command_plans_applies_and_shows(full_size: Bench, tmp_path: Path) -> None:
    code, plan, _ = _command(full_size, tmp_path, "plan")
    assert (code, json.loads(plan)["joining"]) == (Exit.OK, ["n-4"])
    code, result, told = _command(full_size, tmp_path, "apply")
    assert (code, json.loads(result)["action"]) == (Exit.OK, "done")
    assert told.startswith("epoch 1  prepare: join of n-4")
    code, status, _ = _command(full_size, tmp_path, "status")
    facts = json.loads(status)
    assert (facts["epoch"], facts["phase"]) == (4, "stable")
    assert [node["status"] for node in facts["nodes"]] == ["ok"] * 4


def test_apply_gives_up_when_it_is_told_to(full_size: Bench, tmp_path: Path) -> None:
    full_size.nodes["n-4"].up = False
    code, result, _ = _command(full_size, tmp_path, "apply", "--timeout", "0")
    assert code == Exit.UNAVAILABLE
    assert json.loads(result)["action"] in {"wait", "blocked"}
