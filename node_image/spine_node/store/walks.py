"""Walks over the tables in the order of their keys; whoever walks holds the transaction."""

from collections.abc import Iterator

from spine_node.store.layout import Cursor


def rows(cursor: Cursor, prefix: bytes, begin: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (key, value) of a table from a key on, as long as the keys have the prefix."""
    if not cursor.set_range(begin):
        return
    for key, value in cursor:
        if not key.startswith(prefix):
            return
        yield key, value


def joined(
    records: Iterator[tuple[bytes, bytes]], registers: Iterator[tuple[bytes, bytes]]
) -> Iterator[tuple[bytes, bytes | None, bytes | None]]:
    """Yield (key, record, acceptor state) of two tables in the order of their keys."""
    record, register = next(records, None), next(registers, None)
    while record is not None or register is not None:
        key = min(row[0] for row in (record, register) if row is not None)
        raw = state = None
        if record is not None and record[0] == key:
            raw, record = record[1], next(records, None)
        if register is not None and register[0] == key:
            state, register = register[1], next(registers, None)
        yield key, raw, state
