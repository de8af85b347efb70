"""Admission cases: an object, perhaps the object it replaces, and why it is refused, if it is."""

from admission.cases import data, operations, topology
from admission.cases.case import Case

CASES: tuple[Case, ...] = (*topology.CASES, *data.CASES, *operations.CASES)

__all__ = ["CASES", "Case"]
