"""A world: a cluster, what its clients do and what goes wrong there, all of it drawn from one seed.

A world is data. Whoever leaves out a step or a fault has another world in which everything else is
as it was, so a failing one can be made smaller.
"""

from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from simulation.layout import Layout
from simulation.network import Weather
from spine_node.engine.replication.pull_server import PULL_LIMITS, PullLimits

SEATS = "abcdefg"
GROUPS = {  # group of keys → how many, and what is done to them how often
    "weak": (6, {"put": 5, "delete": 1, "read": 5}),
    "mixed": (
        3,
        {"put": 4, "delete": 1, "strong-put": 2, "swap": 3, "create": 1, "patch": 1, "read": 6},
    ),
    "register": (2, {"strong-put": 2, "strong-delete": 1, "swap": 4, "create": 2, "read": 5}),
    "counter": (2, {"count": 6, "read": 2}),
    "patched": (2, {"patch": 4, "touch": 1, "read": 1}),
    "fenced": (2, {"fenced-put": 4, "strong-put": 1, "put": 1, "stamp": 1, "read": 2}),
}
ELSEWHERE = {"keyed": 2, "list": 2, "hand-over": 2}  # what is done to no key that exists
SHARES = {
    "weak": 6, "mixed": 9, "register": 7, "counter": 6, "patched": 4, "fenced": 4, "elsewhere": 4
}  # fmt: skip


class Step(NamedTuple):
    """One thing that a client does, some time after the one before."""

    pause_s: float
    action: str
    key: str
    timeout_s: float
    dice: tuple[float, ...]  # for whatever else is chosen: the node, the model


class Fault(NamedTuple):
    """One thing that goes wrong, and ends by itself."""

    kind: str
    at_s: float
    for_s: float
    dice: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a run is made of."""

    seed: int
    layout: Layout
    seats: str
    weather: Weather
    pull_limits: PullLimits
    slots_slow: bool  # whether pulls are throttled, so that changes take long
    load_s: float
    clients: tuple[tuple[Step, ...], ...]
    probes: tuple[tuple[Step, ...], ...]  # what the same clients do once all is healed
    faults: tuple[Fault, ...]


WEATHERS = (
    Weather(loss_share=0.0, held_share=0.0),
    Weather(),
    Weather(loss_share=0.02, held_share=0.01, repeat_share=0.1),
    Weather(slow_share=0.2, slow_s=0.5, repeat_share=0.05),
    Weather(held_share=0.02, held_s=20.0),
)
FAULTS = {  # kind → how often
    "crash": 4, "restart-all": 1, "power-cycle": 1,
    "cut": 2, "one-way": 3, "halves": 1, "weather": 1,
    "jump": 2, "drift": 1, "freeze": 1,
    "hang": 2, "slow-disk": 2, "full": 1, "failed-disk": 1, "pause": 2,
    "seats": 4, "operator-pause": 1, "operator-crash": 2, "rival": 1,
    "lose": 6, "lose-learn": 3, "hold": 6,
}  # fmt: skip


def draw(seed: int) -> World:
    """Draw a world."""
    random = Random(f"world {seed}")
    factor = random.choice((1, 2, 3, 3, 3, 3, 3, 4, 5))
    quorums = [quorum for quorum in range(1, factor + 1) if 2 * quorum > factor]
    zones = 3 if factor == 3 and random.random() < 0.3 else 0
    count = max(2, min(factor + random.choice((0, 0, 1, 2)), 6))
    layout = Layout(
        factor=factor,
        write_quorum=random.choice(quorums),
        read_quorum=random.choice((1, 1, 1, random.randint(1, factor))),
        slots=random.choice((8, 64)),
        zones=zones,
        drop_after_s=random.choice((1.0, 3.0, 10.0)),
    )
    tiny = PullLimits(page_records_max=2, page_bytes_max=4096, keys_max=3)
    load_s = random.choice((15.0, 25.0, 40.0))
    agents = random.randint(3, 8)
    pause_s = random.choice((0.04, 0.1, 0.2))
    hot = random.random() < 0.4  # few keys, so that all meet
    return World(
        seed=seed,
        layout=layout,
        seats=SEATS[:count],
        weather=random.choice(WEATHERS),
        pull_limits=random.choice((PULL_LIMITS, tiny)),
        slots_slow=random.random() < 0.3,
        load_s=load_s,
        clients=tuple(_steps(random, load_s, pause_s, hot=hot) for _ in range(agents)),
        probes=tuple(_probes(random) for _ in range(agents)),
        faults=_faults(random, load_s),
    )


def _steps(random: Random, load_s: float, pause_s: float, *, hot: bool) -> tuple[Step, ...]:
    return tuple(_step(random, pause_s, hot=hot) for _ in range(int(load_s / (pause_s + 0.04))))


def _probes(random: Random) -> tuple[Step, ...]:
    """Return what has to work, given time enough."""
    return tuple(step._replace(timeout_s=5.0) for step in _steps(random, 3.0, 0.15, hot=False))


def _step(random: Random, pause_s: float, *, hot: bool) -> Step:
    group = _weighed(random, SHARES)
    if group == "elsewhere":
        key, action = "", _weighed(random, ELSEWHERE)
    else:
        count, actions = GROUPS[group]
        key = f"{group}-{random.randrange(1 if hot else count)}"
        action = _weighed(random, actions)
    return Step(
        pause_s=random.expovariate(1 / pause_s),
        action=action,
        key=key,
        timeout_s=random.choice((0.3, 1.0, 2.0, 2.0, 5.0)),
        dice=tuple(random.random() for _ in range(4)),
    )


def _faults(random: Random, load_s: float) -> tuple[Fault, ...]:
    kinds = dict(FAULTS)
    for kind in FAULTS:  # each world leaves some out, so that others come in great number
        if random.random() < 0.5:
            del kinds[kind]
    if not kinds:
        return ()
    every_s = random.choice((0.4, 1.0, 2.5))
    faults = []
    at_s = random.uniform(0.2, 2.0)
    while at_s < load_s - 1:
        faults.append(
            Fault(
                kind=_weighed(random, kinds),
                at_s=at_s,
                for_s=random.choice((0.2, 1.0, 3.0, 6.0, 12.0)) * random.uniform(0.5, 1.0),
                dice=tuple(random.random() for _ in range(6)),
            )
        )
        at_s += random.expovariate(1 / every_s)
    return tuple(faults)


def _weighed(random: Random, weights: dict[str, int]) -> str:
    return random.choices([*weights], [*weights.values()])[0]
