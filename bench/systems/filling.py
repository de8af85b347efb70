"""Puts memories into our nodes before a measurement, and writes down how they are read."""

import json
from pathlib import Path

from bench.load.result import LoadResult
from bench.memory import memory_id, memory_json
from bench.systems.spine import PATH, SpineCluster
from bench.systems.system import Tally

BATCH = 500
TOKENS = 300
JSON = {"Content-Type": "application/json"}


def fill(spine: SpineCluster, tally: Tally, count: int, prefix: str = "fill") -> None:
    """Store so many memories, in batches, one node after the other."""
    for first in range(0, count, BATCH):
        numbers = range(first, min(first + BATCH, count))
        items = [
            f'{{"op":"put","id":"{one}","body":{memory_json(one)}}}'
            for one in (memory_id(prefix, number) for number in numbers)
        ]
        body = f'{{"operations":[{",".join(items)}]}}'
        url = spine.urls[first // BATCH % len(spine.urls)]
        answer = spine.request("POST", f"{url}{PATH}:batch", body=body, headers=JSON)
        if answer.status != 200 or json.loads(answer.data)["failed"]:
            raise OSError(f"a batch failed: {answer.status} {answer.data[:300]!r}")
    tally.note([prefix], _wrote(count))


def request_files(spine: SpineCluster, tally: Tally, count: int, folder: Path) -> dict[str, Path]:
    """Write the requests of each kind of GET: a line each, `|` for a line end."""
    filled = [memory_id("fill", number) for number in range(count)]
    lines = {
        "eventual": [_line(one, "Spine-Consistency: eventual") for one in filled],
        "quorum": [_line(one) for one in filled],
        "session": [_line(one, f"Spine-Session: {_token(spine, one)}") for one in _own(count)],
    }
    tally.note(["own"], _wrote(len(lines["session"])))
    files = {kind: folder / f"{kind}.requests" for kind in lines}
    for kind, file in files.items():
        file.write_text("\n".join(lines[kind]) + "\n")
    return files


def _own(count: int) -> list[str]:
    return [memory_id("own", number) for number in range(min(TOKENS, count))]


def _line(identity: str, *headers: str) -> str:
    return "|".join((f"GET {PATH}/{identity} HTTP/1.1", *headers))


def _token(spine: SpineCluster, identity: str) -> str:
    """Store a memory; return the session of whoever did."""
    url = f"{spine.urls[0]}{PATH}/{identity}"
    answer = spine.request("PUT", url, body=memory_json(identity), headers=JSON)
    if answer.status != 201:
        raise OSError(f"a PUT failed: {answer.status} {answer.data[:300]!r}")
    return answer.headers["Spine-Session"]


def _wrote(count: int) -> LoadResult:
    return LoadResult(acknowledged=count, sent=count, errors=0, seconds=1.0, p50_ms=0.0, p99_ms=0.0)
