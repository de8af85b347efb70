"""Whatever people want and whatever fails, the topology ends as wanted and never skips a rule.

The rules themselves are asserted where the model takes an action's effect.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from models.topology_model import TopologyModel, wanted_of
from spine_core.planning.actions import Action, Done, Wait
from spine_core.topology.document import Document, Phase

ZONES = ("a", "b", "c", "d")
TURNS_TO_REST = 300  # a few changes of at most a dozen turns each, pauses after stalls included


def settle(model: TopologyModel) -> Action:
    """Heal everything, then let time pass until nothing is left to do."""
    for pod in model.pods.values():
        pod.up = pod.heard = True
    action: Action = Wait(step="plan", message="", done=0, total=0)  # type: ignore[arg-type]
    for _ in range(TURNS_TO_REST):
        model.start_pods()
        action = model.act()
        if isinstance(action, Done):
            break
        for seat in model.pods:
            model.pull(seat)
        model.now_ms += 61_000
    return action


class Topology(RuleBasedStateMachine):
    """People, nodes, network and the operator take turns."""

    def __init__(self) -> None:
        super().__init__()
        self.model = TopologyModel()
        self.published: list[Document] = []

    @initialize(replicas=st.integers(3, 5), settled=st.booleans())
    def begin(self, replicas: int, settled: bool) -> None:
        self.model.want(wanted_of(ZONES[:3], replicas))
        if settled:
            settle(self.model)

    @rule(zones=st.sampled_from([3, 4]), replicas=st.integers(3, 7))
    def people_want_something_else(self, zones: int, replicas: int) -> None:
        self.model.want(wanted_of(ZONES[:zones], replicas))

    @rule(turns=st.integers(1, 4))
    def the_operator_works(self, turns: int) -> None:
        for _ in range(turns):
            self.model.act()

    @rule(turns=st.integers(1, 4))
    def everybody_works(self, turns: int) -> None:
        for _ in range(turns):
            self.model.act()
            for seat in self.model.pods:
                self.model.pull(seat)
            self.model.now_ms += 31_000

    @rule()
    def the_operator_dies_before_its_act(self) -> None:
        self.model.act(fault="lost")

    @precondition(lambda self: self.published)
    @rule(data=st.data())
    def another_operator_acts_on_an_old_document(self, data: st.DataObject) -> None:
        old = data.draw(st.sampled_from(self.published))
        before = self.model.document
        behind = [pod for pod in self.model.pods.values() if pod.document != before]
        if not behind:  # else it cannot know better than the nodes that it asks
            self.model.act(stale=old)
            assert before in (self.model.document, old)

    @rule(data=st.data())
    def answers_are_lost(self, data: st.DataObject) -> None:
        for pod in self.model.pods.values():
            pod.heard = data.draw(st.booleans())

    @rule()
    def all_answers_arrive(self) -> None:
        for pod in self.model.pods.values():
            pod.heard = True

    @rule(data=st.data())
    def a_node_stops_or_starts(self, data: st.DataObject) -> None:
        if self.model.pods:
            pod = self.model.pods[data.draw(st.sampled_from(sorted(self.model.pods)))]
            pod.up, pod.since_ms = not pod.up, self.model.now_ms

    @rule(data=st.data())
    def a_joining_disk_is_lost(self, data: st.DataObject) -> None:
        document = self.model.document
        if document is None or document.phase is Phase.PREPARE:
            fresh = sorted(s for s in self.model.pods if not self.model.is_current(s))
            if fresh:
                self.model.wipe(data.draw(st.sampled_from(fresh)))

    @rule(data=st.data(), most=st.integers(1, 20))
    def a_node_pulls(self, data: st.DataObject, most: int) -> None:
        if self.model.pods:
            self.model.pull(data.draw(st.sampled_from(sorted(self.model.pods))), most)

    @rule(seconds=st.sampled_from([1, 31, 121, 700]))
    def time_passes(self, seconds: int) -> None:
        self.model.now_ms += 1000 * seconds

    @invariant()
    def remember_what_was_published(self) -> None:
        document = self.model.document
        if document is not None and document not in self.published:
            self.published.append(document)

    def teardown(self) -> None:
        action = settle(self.model)
        assert isinstance(action, Done), action
        document = self.model.document
        assert document is not None
        assert document.phase is Phase.STABLE
        assert set(document.current) == set(self.model.wanted.seats) == set(self.model.pods)


TestTopology = Topology.TestCase
TestTopology.settings = settings(
    max_examples=200,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def test_three_nodes_become_four_and_three_again() -> None:
    model = TopologyModel()
    model.want(wanted_of(ZONES, 3))
    assert isinstance(settle(model), Done)
    assert model.document is not None
    first = model.document.current
    for replicas in (4, 3):
        model.want(wanted_of(ZONES, replicas))
        assert isinstance(settle(model), Done)
        assert len(model.document.current) == replicas
    assert model.document.current == first
    assert [entry.result for entry in model.document.history] == ["committed", "committed"]


def test_a_zone_that_is_taken_away_moves_to_the_others() -> None:
    model = TopologyModel()
    model.want(wanted_of(("a", "b", "c"), 6))
    assert isinstance(settle(model), Done)
    model.want(wanted_of(("a", "b"), 6))
    assert isinstance(settle(model), Done)
    assert model.document is not None
    assert {store.zone for store in model.document.stores.values()} == {"a", "b"}
