"""The driver that awaits: it runs an operation by sending its requests and sleeping its sleeps."""

from memory_spine.effects import (
    AsyncTransport,
    Done,
    Open,
    Operation,
    Outcome,
    Request,
    Result,
    Sleep,
    mismatch,
    resume,
)
from memory_spine.environment import sleep_async
from memory_spine.errors import ConnectionFailed


async def run(operation: Operation[Result], transport: AsyncTransport) -> Result:
    """Drive one operation to its end."""
    outcome: Outcome | ConnectionFailed | None = None
    while not isinstance(effect := resume(operation, outcome), Done):
        if isinstance(effect, Sleep):
            await sleep_async(effect.seconds, effect.until)
            outcome = None
        else:
            outcome = await _outcome(effect, transport)
    return effect.value


async def _outcome(effect: Request | Open, transport: AsyncTransport) -> Outcome | ConnectionFailed:
    request = effect.request if isinstance(effect, Open) else effect
    try:
        opens = isinstance(effect, Open)
        outcome = await (transport.open(request) if opens else transport.send(request))
    except ConnectionFailed as failure:
        return failure
    if (foreign := mismatch(request, outcome)) is None:
        return outcome
    await transport.close()  # who knows whose answers the connections hold
    return foreign
