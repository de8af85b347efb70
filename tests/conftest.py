import os

from hypothesis import Phase, settings

# Many examples on a shared machine: a slow one is no failure.
settings.register_profile("core", deadline=None, max_examples=100)
# A mutant only has to fail: nobody reads its smallest example.
settings.register_profile(
    "mutants", settings.get_profile("core"), phases=(Phase.explicit, Phase.generate)
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "core"))
