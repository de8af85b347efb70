"""One pure builder per child object; each has a golden YAML file in tests/operator/golden."""
