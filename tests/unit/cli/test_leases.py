"""`spine lease`: a command runs while its lease is held, and no longer."""

import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from memory_spine.effects import Answer, Request
from spine_cli.exits import Exit
from unit.cli.running import spine
from unit.client.scripted_server import ScriptedServer, ok, problem

GRANT = {
    "key": "deploy",
    "holder": "me",
    "fence": 42,
    "ttl_ms": 30_000,
    "expires_at": "2026-11-22T10:00:30Z",
}
SHORT = ok({**GRANT, "ttl_ms": 1500})  # renewed after half a second
PASSED_ON = problem("lease-lost", 409, outcome="not-applied")
RELEASED = Answer(status=204)
HELD = {"key": "deploy", "held": True, "fence": 42, "holder": "me", "expires_at": None}


def _hold(server: ScriptedServer, code: str, *options: str) -> Result:
    words = ("lease", "hold", "-n", "acme", "deploy", *options, "--", sys.executable, "-c", code)
    return spine(*words, server=server)


def _verbs(server: ScriptedServer) -> list[str]:
    return [request.url.rpartition(":")[2] for request in server.requests]


def test_hold_runs_the_command_with_its_fence_and_gives_the_lease_back(tmp_path: Path) -> None:
    server, told = ScriptedServer([ok(GRANT), RELEASED]), tmp_path / "fence"
    code = f"import os; open({str(told)!r}, 'w').write(os.environ['SPINE_FENCE'])"
    options = ("--ttl", "1m", "--wait", "5s", "--holder", "me", "--guard", "release")
    assert _hold(server, code, *options).exit_code == Exit.OK
    assert told.read_text(encoding="utf-8") == "deploy=42"
    assert _verbs(server) == ["acquire", "release"]
    body: dict[str, Any] = json.loads(server.requests[0].body or b"")
    assert body == {"holder": "me", "ttl_ms": 60_000, "wait_ms": 5000, "guards": ["release"]}


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("raise SystemExit(7)", 7),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 128 + signal.SIGKILL),
    ],
)
def test_the_exit_code_is_that_of_the_command(code: str, exit_code: int) -> None:
    server = ScriptedServer([ok(GRANT), RELEASED])
    assert _hold(server, code).exit_code == exit_code
    assert _verbs(server) == ["acquire", "release"]


FOR_EVER = "import signal; signal.alarm(20)\nwhile True: signal.pause()"  # but not for ever


def test_a_command_whose_lease_is_lost_is_ended() -> None:
    server = ScriptedServer([SHORT, PASSED_ON])
    done = _hold(server, FOR_EVER)
    assert done.exit_code == 128 + signal.SIGTERM
    assert "the lease deploy was lost" in done.stderr
    assert _verbs(server) == ["acquire", "renew"]


def _when_ready(ready: Path) -> Any:
    """Renew until the command has begun, then lose the lease."""

    def answer(_: Request) -> Answer:
        return PASSED_ON if ready.exists() else SHORT

    return answer


def test_a_command_that_does_not_obey_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    stubborn = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"open({str(ready)!r}, 'w').close()\n{FOR_EVER}"
    )
    server = ScriptedServer([SHORT, *[_when_ready(ready)] * 9999])
    assert _hold(server, stubborn, "--grace", "0").exit_code == 128 + signal.SIGKILL


def test_a_command_that_calls_a_lost_lease_a_success_conflicts(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    content = (
        "import signal; signal.alarm(20); asked = {signal.SIGTERM}\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, asked)\n"
        f"open({str(ready)!r}, 'w').close()\nsignal.sigwait(asked)"
    )
    server = ScriptedServer([SHORT, *[_when_ready(ready)] * 9999])
    assert _hold(server, content).exit_code == Exit.CONFLICT


def test_a_signal_to_the_holder_reaches_the_command_and_the_lease_is_given_back() -> None:
    server = ScriptedServer([ok(GRANT), RELEASED])
    code = f"import os, signal; os.kill(os.getppid(), signal.SIGTERM)\n{FOR_EVER}"
    assert _hold(server, code).exit_code == 128 + signal.SIGTERM
    assert _verbs(server) == ["acquire", "release"]


def test_a_held_lease_runs_nothing(tmp_path: Path) -> None:
    server = ScriptedServer([problem("lease-held", 409, holder="agent-3", retryable=True)])
    done = _hold(server, f"open({str(tmp_path / 'ran')!r}, 'w')")
    assert done.exit_code == Exit.CONFLICT
    assert "lease-held" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_a_command_that_is_not_there_gives_the_lease_back() -> None:
    server = ScriptedServer([ok(GRANT), RELEASED])
    done = spine("lease", "hold", "-n", "acme", "deploy", "--", "no-such-command", server=server)
    assert done.exit_code == Exit.USAGE
    assert "cannot run 'no-such-command'" in done.stderr
    assert _verbs(server) == ["acquire", "release"]


def test_list_and_get_show_who_holds_what() -> None:
    page = {"items": [HELD, {**HELD, "key": "other", "held": False, "holder": None}]}
    server = ScriptedServer([ok(page), ok(page), ok(HELD), problem("not-found", 404)])
    listed = json.loads(spine("lease", "list", "-n", "acme", server=server).stdout)
    assert [lease["key"] for lease in listed] == ["deploy", "other"]
    table = spine("lease", "list", "-n", "acme", "-o", "table", server=server).stdout
    assert table.splitlines()[0].split() == ["KEY", "HELD", "FENCE", "HOLDER", "EXPIRES", "AT"]
    assert json.loads(spine("lease", "get", "-n", "acme", "deploy", server=server).stdout) == {
        "key": "deploy",
        "held": True,
        "fence": 42,
        "holder": "me",
    }
    assert spine("lease", "get", "-n", "acme", "x", server=server).exit_code == Exit.NOT_FOUND


@pytest.mark.parametrize("options", [(), ("--fence", "42")])
def test_release_breaks_the_grant_that_it_saw(options: tuple[str, ...]) -> None:
    server = ScriptedServer([ok(HELD), RELEASED])
    done = spine("lease", "release", "-n", "acme", "deploy", *options, server=server)
    assert (done.exit_code, done.stderr) == (Exit.OK, "released deploy, which me held\n")
    assert json.loads(server.requests[1].body or b"") == {"holder": "me", "fence": 42}


def test_release_of_another_grant_or_of_nothing_sends_nothing() -> None:
    free = {**HELD, "held": False, "holder": None}
    server = ScriptedServer([ok(HELD), ok(free)])
    other = spine("lease", "release", "-n", "acme", "deploy", "--fence", "41", server=server)
    assert other.exit_code == Exit.CONFLICT
    assert "held by me with the fence 42" in other.stderr
    done = spine("lease", "release", "-n", "acme", "deploy", server=server)
    assert (done.exit_code, done.stderr) == (Exit.OK, "nobody holds deploy\n")
    assert [request.method for request in server.requests] == ["GET", "GET"]
