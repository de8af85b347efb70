from hypothesis import settings

# Many examples on a shared machine: a slow one is no failure.
settings.register_profile("core", deadline=None, max_examples=100)
settings.load_profile("core")
