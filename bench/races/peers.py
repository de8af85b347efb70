"""Concurrent updates in other memory libraries: `python -m bench.races.peers NAME WHERE`.

Runs in a virtual environment of its own (`make bench-races`). Many threads add one note each to one
memory, in the way that the library's interface offers: read, change, write. Prints how many are left.
"""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any

THREADS, UPDATES = 8, 20


def race(update: Callable[[str], None]) -> None:
    """Make all updates, eight at a time."""

    def work(thread: int) -> None:
        for number in range(UPDATES):
            update(f"note-{thread}-{number}")

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))


def langgraph(where: str) -> int:
    """LangGraph's PostgresStore: `where` is the address of a database."""
    from langgraph.store.postgres import PostgresStore  # noqa: PLC0415 - only one is loaded
    from psycopg_pool import ConnectionPool  # noqa: PLC0415

    options = {"autocommit": True, "prepare_threshold": 0}
    with ConnectionPool(where, min_size=THREADS, kwargs=options) as pool:
        store: Any = PostgresStore(pool)
        store.setup()
        store.put(("race",), "one", {"notes": []})

        def update(note: str) -> None:
            notes = store.get(("race",), "one").value["notes"]
            store.put(("race",), "one", {"notes": [*notes, note]})

        race(update)
        return len(store.get(("race",), "one").value["notes"])


def chroma(where: str) -> int:
    """Chroma with given embeddings: `where` is a folder."""
    import chromadb  # noqa: PLC0415 - only one is loaded
    from chromadb.config import Settings  # noqa: PLC0415

    client = chromadb.PersistentClient(where, Settings(anonymized_telemetry=False))
    collection = client.create_collection("race", embedding_function=None)
    collection.add(ids=["one"], embeddings=[[1.0, 0.0]], documents=["notes:"])

    def update(note: str) -> None:
        text = collection.get("one")["documents"][0]
        collection.update(ids=["one"], embeddings=[[1.0, 0.0]], documents=[f"{text} {note}"])

    race(update)
    return str(collection.get("one")["documents"][0]).count("note-")


def mem0(where: str) -> int:
    """mem0 without inference, on Chroma, with an embedding that needs no model."""
    from langchain_core.embeddings import FakeEmbeddings  # noqa: PLC0415 - only one is loaded
    from mem0 import Memory  # noqa: PLC0415

    memory: Any = Memory.from_config(
        {
            "embedder": {"provider": "langchain", "config": {"model": FakeEmbeddings(size=8)}},
            "llm": {
                "provider": "openai",
                "config": {"api_key": "none"},
            },  # never asked: infer=False
            "vector_store": {"provider": "chroma", "config": {"path": where}},
            "history_db_path": f"{where}/history.db",
        }
    )
    added = memory.add("notes:", user_id="race", infer=False)
    identity = added["results"][0]["id"]

    def update(note: str) -> None:
        memory.update(identity, f"{memory.get(identity)['memory']} {note}")

    race(update)
    return str(memory.get(identity)["memory"]).count("note-")


PEERS = {
    "langgraph": (langgraph, "langgraph-checkpoint-postgres"),
    "chroma": (chroma, "chromadb"),
    "mem0": (mem0, "mem0ai"),
}

if __name__ == "__main__":
    run, package = PEERS[sys.argv[1]]
    sys.stdout.write(f"\n{run(sys.argv[2])} {THREADS * UPDATES} {version(package)}\n")
