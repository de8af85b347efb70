"""How much the index does at a time, and how much it keeps in memory."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexLimits:
    """Numbers that a node never changes; tests take small ones."""

    examined_max: int = 20_000  # rows that one page may cost, about 15 ms of a reader thread
    page_bytes_max: int = 4 * 1024 * 1024  # of records in one answer, a quarter of a link's message
    remembered_max: int = 50_000  # records, some 12 MB: 10 s of a replica's heaviest writing
    batch: int = 5000  # entries of one SQLite transaction; below 1000 they cost more, 50 twice
    slice: int = 250  # records read from the store without a pause, 1 ms
    scan_records: int = 1000  # the same in a rebuild, which reads them in their order
    scan_bytes: int = 1024 * 1024  # of records read from the store without a pause
    retry_s: float = 1.0  # before a failure is followed by another attempt; doubled each time


LIMITS = IndexLimits()
