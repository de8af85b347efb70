"""Puts memories into our nodes before a measurement, and writes down how they are read."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.load.result import LoadResult
from bench.memory import memory_id, memory_json
from bench.systems.spine import PATH, SpineCluster
from bench.systems.system import Tally
from bench.waiting import pause

BATCH, AT_ONCE, ATTEMPTS = 500, 3, 5
LINES_MAX = 20_000  # of a file: spread over all records
TOKENS = 300
JSON = {"Content-Type": "application/json"}


def fill(spine: SpineCluster, tally: Tally, count: int, prefix: str = "fill") -> None:
    """Store so many memories, in batches, some at once, to the nodes in turn."""

    def batch(first: int) -> None:
        numbers = range(first, min(first + BATCH, count))
        items = [
            f'{{"op":"put","id":"{one}","body":{memory_json(one)}}}'
            for one in (memory_id(prefix, number) for number in numbers)
        ]
        body = f'{{"operations":[{",".join(items)}]}}'
        url = f"{spine.urls[first // BATCH % len(spine.urls)]}{PATH}:batch"
        failed = ""
        for _ in range(ATTEMPTS):  # as a client would: a node that has just started may refuse
            answer = spine.request("POST", url, body=body, headers=JSON)
            failed = _failure(answer.status, answer.data)
            if not failed:
                return
            pause(1.0)
        raise OSError(f"a batch failed {ATTEMPTS} times: {failed}")

    with ThreadPoolExecutor(AT_ONCE) as threads:
        for _ in threads.map(batch, range(0, count, BATCH)):
            pass
    tally.note([prefix], _wrote(count))


def _failure(status: int, data: bytes) -> str:
    """Return what is wrong with the answer to a batch, "" when nothing is."""
    if status != 200:
        return f"{status} {data[:300]!r}"
    answer = json.loads(data)
    return next((str(one["problem"]) for one in answer["results"] if one["status"] >= 400), "")


def request_files(spine: SpineCluster, tally: Tally, count: int, folder: Path) -> dict[str, Path]:
    """Write the requests of each kind of GET: a line each, `|` for a line end."""
    step = max(1, count // LINES_MAX)
    filled = [memory_id("fill", number) for number in range(0, count, step)]
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
