"""The HTTP API of a node: parses requests, asks the engine, renders answers. It decides nothing."""
