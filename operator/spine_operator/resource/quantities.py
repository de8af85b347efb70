"""Parses Kubernetes' quantities (`10Gi`) and durations (`1h30m`). Pure.

Source: apimachinery resource.Quantity; the custom resource bounds both by patterns.
"""

import re
from decimal import Decimal, InvalidOperation

from spine_core.errors import InvalidInputError

_SUFFIXES = {
    "": Decimal(1),
    **{s: Decimal(10) ** (3 * i) for i, s in enumerate(("k", "M", "G", "T", "P", "E"), start=1)},
    **{s: Decimal(2) ** (10 * i) for i, s in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
    "m": Decimal("1e-3"),
    "u": Decimal("1e-6"),
    "n": Decimal("1e-9"),
}
_QUANTITY = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([KMGTPE]i|[numkMGTPE]?)", re.ASCII)
_DURATION = re.compile(r"(?:[0-9]+[smh])+", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def quantity_of(text: str | int) -> Decimal:
    """Return the number that a quantity stands for.

    Raises:
        InvalidInputError: the text is no quantity.
    """
    match = _QUANTITY.fullmatch(str(text))
    try:
        if match is not None:
            return Decimal(match[1]) * _SUFFIXES[match[2]]
    except InvalidOperation:
        pass
    raise InvalidInputError(f"{text!r} is no quantity")


def bytes_of(text: str | int) -> int:
    """Return a quantity in whole bytes, rounded up as Kubernetes does."""
    number = quantity_of(text)
    return int(number) + (number % 1 > 0)


def seconds_of(text: str) -> int:
    """Return a duration such as `1h30m` in seconds.

    Raises:
        InvalidInputError: the text is no duration.
    """
    if not _DURATION.fullmatch(text):
        raise InvalidInputError(f"{text!r} is no duration")
    return sum(int(n) * _SECONDS[unit] for n, unit in re.findall(r"([0-9]+)([smh])", text))
