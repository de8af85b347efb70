"""Which runs of a simulation are made: a few fixed seeds, more or one of them when asked for.

SPINE_SIM_SEEDS=100 makes a hundred runs of each test, SPINE_SIM_SEED=7 the one with seed 7.
"""

import os

_one, _many = os.environ.get("SPINE_SIM_SEED"), os.environ.get("SPINE_SIM_SEEDS", "2")
SEEDS = (int(_one),) if _one else tuple(range(int(_many)))
