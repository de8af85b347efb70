"""One node of a Memory Spine cluster: HTTP, engine, links and store."""
