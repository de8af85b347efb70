"""A mutant: one rule removed from the source, and the test that must fail without it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """Replace `old` by `new`, once, in `file`; then the test `killed_by` must fail."""

    file: str  # path from the top of the repository
    old: str  # source text that occurs exactly once in `file`
    new: str
    killed_by: str  # pytest node id
