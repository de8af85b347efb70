"""The driver that blocks: it runs an operation by sending its requests and sleeping its sleeps."""

from memory_spine.effects import (
    Done,
    Open,
    Operation,
    Outcome,
    Request,
    Result,
    Sleep,
    Transport,
    mismatch,
    resume,
)
from memory_spine.environment import sleep
from memory_spine.errors import ConnectionFailed


def run(operation: Operation[Result], transport: Transport) -> Result:
    """Drive one operation to its end."""
    outcome: Outcome | ConnectionFailed | None = None
    while not isinstance(effect := resume(operation, outcome), Done):
        if isinstance(effect, Sleep):
            sleep(effect.seconds, effect.until)
            outcome = None
        else:
            outcome = _outcome(effect, transport)
    return effect.value


def _outcome(effect: Request | Open, transport: Transport) -> Outcome | ConnectionFailed:
    request = effect.request if isinstance(effect, Open) else effect
    try:
        opens = isinstance(effect, Open)
        outcome = transport.open(request) if opens else transport.send(request)
    except ConnectionFailed as failure:
        return failure
    if (foreign := mismatch(request, outcome)) is None:
        return outcome
    transport.close()  # who knows whose answers the connections hold
    return foreign
