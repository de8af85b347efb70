"""What the commands send, print and answer a script with."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from spine_cli.exits import Exit
from spine_cli.main import app
from spine_cli.runtime import Runtime
from spine_core.api_keys import parse_key
from spine_node.http.auth import load_keys
from spine_node.settings import Settings
from unit.cli.running import spine
from unit.client.scripted_server import MEMORY, ScriptedServer, lost, ok, problem

PAGE = {"items": [MEMORY], "coverage": {"slots": 4096, "answered": 4096}}


def _bodies(server: ScriptedServer) -> list[Any]:
    return [json.loads(request.body or b"null") for request in server.requests]


def test_store_creates_and_prints_json_into_a_pipe() -> None:
    server = ScriptedServer([ok(status=201)])
    done = spine(
        *("store", "-n", "acme", "hello", "--tag", "a", "-t", "b", "--importance", "high"),
        *("--ttl", "7d", "--metadata", '{"n": 1}', "--agent", "a7", "--pinned", "--key", "k"),
        server=server,
    )
    assert done.exit_code == Exit.OK
    assert json.loads(done.stdout)["id"] == "t-1"
    assert _bodies(server) == [
        {
            "content": "hello",
            "tags": ["a", "b"],
            "agent_id": "a7",
            "metadata": {"n": 1},
            "importance": 0.75,
            "pinned": True,
            "ttl_seconds": 604_800,
        }
    ]
    assert server.requests[0].headers["Idempotency-Key"] == "k"


def test_store_with_an_id_replaces_and_can_print_the_id_alone() -> None:
    server = ScriptedServer([ok()])
    done = spine("store", "-n", "acme", "--id", "t-1", "-", "-o", "id", server=server, stdin="hi\n")
    assert done.stdout == "t-1\n"
    assert server.requests[0].method == "PUT"
    assert _bodies(server)[0]["content"] == "hi\n"


@pytest.mark.parametrize(
    "text",
    [
        "- buy milk",
        "-- signed, Alice",
        "---\ntitle: note\n---\ntext",
        "-5 degrees outside",
        "-hello world",
        "--unlikely as a flag",
    ],
)
def test_a_text_of_several_words_may_begin_with_a_dash(text: str) -> None:
    server = ScriptedServer([ok(status=201)] * 2)
    assert spine("store", "-n", "acme", text, "--tag", "a", server=server).exit_code == Exit.OK
    assert spine("store", "-n", "acme", "--", text, server=server).exit_code == Exit.OK
    assert [body["content"] for body in _bodies(server)] == [text] * 2


def test_options_of_several_words_stay_options() -> None:
    server = ScriptedServer([ok(status=201)])
    arguments = ("--user=two words", "-tone two", "--agent", "- dashed")
    done = spine("store", "-n", "acme", *arguments, "text", server=server)
    assert done.exit_code == Exit.OK
    assert _bodies(server) == [
        {"content": "text", "tags": ["one two"], "user_id": "two words", "agent_id": "- dashed"}
    ]


@pytest.mark.parametrize("argument", ["--tga", "--tga=a b", "-5"])
def test_an_option_that_is_not_there_is_still_refused(argument: str) -> None:
    server = ScriptedServer()
    assert spine("store", "-n", "acme", argument, server=server).exit_code == Exit.USAGE
    assert not server.requests


def test_get_asks_for_the_model_that_was_named() -> None:
    server = ScriptedServer([ok()])
    done = spine("get", "-n", "acme", "t-1", "--consistency", "strong", server=server)
    assert json.loads(done.stdout)["content"] == "hello"
    assert server.requests[0].headers["Spine-Consistency"] == "strong"


def test_a_table_shows_text_as_it_is_and_no_colour() -> None:
    server = ScriptedServer(
        [ok({**PAGE, "items": [{**MEMORY, "content": "[red]x[/red]\n" + "y" * 99}]})]
    )
    done = spine("list", "-n", "acme", "-o", "table", server=server)
    header, row = done.stdout.splitlines()[:2]
    assert header.split() == ["ID", "CONTENT", "TAGS", "AGENT", "UPDATED"]
    assert "[red]x[/red] yyy" in row
    assert "…" in row
    assert "\x1b" not in done.stdout


def test_an_empty_list_prints_nothing_on_stdout_and_says_so() -> None:
    done = spine(
        "list", "-n", "acme", "-o", "table", server=ScriptedServer([ok({**PAGE, "items": []})])
    )
    assert (done.stdout, done.stderr) == ("", "no memory matches\n")


def test_a_narrow_terminal_cuts_everything_but_the_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    long_id = "m-" * 20
    server = ScriptedServer([ok({**PAGE, "items": [{**MEMORY, "id": long_id}]})])
    done = spine("list", "-n", "acme", "-o", "table", server=server)
    assert len(done.stdout.splitlines()) == 2
    assert long_id in done.stdout


def test_a_memory_cannot_drive_the_terminal() -> None:
    server = ScriptedServer([ok({**MEMORY, "content": "a\x1b]0;b\x07\nc"})])
    done = spine("get", "-n", "acme", "t-1", "-o", "table", server=server)
    assert "a\ufffd]0;b\ufffd\nc" in done.stdout


def test_a_new_key_is_shown_whole_on_any_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    done = spine("key", "new", "--subject", "bot", "-n", "acme", "-o", "table")
    key, entry = (line.split(maxsplit=1)[1] for line in done.stdout.splitlines())
    key_id, sha256 = parse_key(key)
    assert (key_id, sha256) == (json.loads(entry)["id"], json.loads(entry)["sha256"])


def test_list_builds_one_filter_from_all_tests() -> None:
    server = ScriptedServer([ok(PAGE)])
    spine(
        *("list", "-n", "acme", "--tag", "task", "--agent", "a7", "--subtree"),
        *("--where", "metadata.severity>=3", "--where", "importance!=0.5", "--where", "id=x y"),
        server=server,
    )
    url = server.requests[0].url
    assert "scope=subtree" in url
    assert json.loads(_unescaped(url, "filter")) == {
        "$and": [
            {"tags": "task"},
            {"agent_id": "a7"},
            {"metadata.severity": {"$gte": 3}},
            {"importance": {"$ne": 0.5}},
            {"id": {"$eq": "x y"}},
        ]
    }


def _unescaped(url: str, parameter: str) -> str:
    return parse_qs(urlsplit(url).query)[parameter][0]


def test_list_stops_at_its_limit_and_says_that_there_is_more() -> None:
    two = {**PAGE, "items": [MEMORY, MEMORY], "next_page_token": "p"}
    server = ScriptedServer([ok(two), ok(two)])
    done = spine("list", "-n", "acme", "--limit", "3", "-o", "id", server=server)
    assert done.stdout.split() == ["t-1"] * 3
    assert "more than 3" in done.stderr


def test_list_says_when_part_of_the_key_space_did_not_answer() -> None:
    server = ScriptedServer([ok({**PAGE, "coverage": {"slots": 4096, "answered": 4000}})])
    done = spine("list", "-n", "acme", "-o", "ndjson", server=server)
    assert len(done.stdout.splitlines()) == 1
    assert "96 of 4096 slots did not answer" in done.stderr


def test_forget_deletes_each_and_prints_nothing_on_stdout() -> None:
    server = ScriptedServer([ok(status=204), ok(status=204)])
    done = spine("forget", "-n", "acme", "t-1", "t-2", server=server)
    assert [request.method for request in server.requests] == ["DELETE", "DELETE"]
    assert done.stdout == ""
    assert done.stderr == "forgot t-1\nforgot t-2\n"


@pytest.mark.parametrize(
    ("code", "status", "exit_code"),
    [
        ("validation-failed", 422, Exit.USAGE),
        ("not-found", 404, Exit.NOT_FOUND),
        ("gone", 410, Exit.NOT_FOUND),
        ("guard-conflict", 409, Exit.CONFLICT),
        ("precondition-failed", 412, Exit.CONFLICT),
        ("unauthenticated", 401, Exit.REFUSED),
        ("forbidden", 403, Exit.REFUSED),
        ("storage-full", 507, Exit.UNAVAILABLE),
    ],
)
def test_a_script_can_tell_failures_apart(code: str, status: int, exit_code: Exit) -> None:
    server = ScriptedServer([problem(code, status, outcome="not-applied")])
    done = spine("store", "-n", "acme", "hello", server=server)
    assert done.exit_code == exit_code
    assert done.stderr.startswith(f"spine: {code}")
    assert done.stdout == ""


def test_an_indeterminate_write_has_an_exit_code_of_its_own() -> None:
    server = ScriptedServer([problem("storage-full", 507, outcome="indeterminate")])
    done = spine("store", "-n", "acme", "hello", server=server)
    assert done.exit_code == Exit.INDETERMINATE
    assert "may have been applied" in done.stderr


def test_no_connection_names_the_cure() -> None:
    server = ScriptedServer([lost(sent=False)] * 4)
    done = spine("get", "-n", "acme", "t-1", "--timeout", "0.1", server=server)
    assert done.exit_code == Exit.UNAVAILABLE
    assert "spine serve" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["store", "hello"], "SPINE_NAMESPACE"),
        (["store", "-n", "acme"], "nothing to store"),
        (["store", "-n", "acme", "x", "--ttl", "soon"], "duration"),
        (["store", "-n", "acme", "x", "--importance", "very"], "low, medium, high, critical"),
        (["store", "-n", "acme", "x", "--metadata", "[1]"], "JSON object"),
        (["store", "-n", "acme", "x", "--metadata", '{"a":' * 100_000], "JSON object"),
        (
            ["store", "-n", "acme", "x", "--metadata", '{"a": 1e999}'],
            "metadata.a is NaN or infinite",
        ),
        (["list", "-n", "acme", "--where", "severity"], "metadata.severity>=3"),
        (["get", "-n", "acme", "t-1", "--url", "localhost"], "http://HOST:8788"),
        (["topology", "status", "--cluster", "/nowhere.yaml"], "cannot be read"),
        (["serve", "--node", "spine-1"], "--cluster"),
        (["get", "-n", "acme", ".."], "cannot stand in a path"),
        (["store", "-n", "acme", "\udcff"], "not UTF-8"),
        (["store", "-n", "acme", "--metadata", '{"a": NaN}'], "NaN"),
        (["key", "new", "--subject", "bot", "-n", "a b"], "labels are letters"),
    ],
)
def test_a_wrong_argument_names_what_would_be_right(arguments: list[str], hint: str) -> None:
    done = spine(*arguments)
    assert done.exit_code == Exit.USAGE
    assert hint in done.stderr


def test_whoami_and_cluster_status_show_what_the_node_says() -> None:
    identity = {"subject": "bot", "auth": "api-key", "scopes": [], "namespaces": ["acme"]}
    node = {"id": "spine-1", "zone": "a", "status": "ok", "slots": 4096}
    cluster = {
        "name": "demo",
        "version": "1.0.0",
        "epoch": 7,
        "phase": "stable",
        "replication": {"factor": 3},
        "consistency": {},
        "partitioning": {},
        "nodes": [node],
        "limits": {},
    }
    server = ScriptedServer([ok(identity), ok(cluster), ok(cluster)])
    assert json.loads(spine("whoami", server=server).stdout)["subject"] == "bot"
    assert json.loads(spine("cluster", "status", server=server).stdout)["epoch"] == 7
    table = spine("cluster", "status", "-o", "table", server=server).stdout
    assert re.search(r"ID +ZONE +STATUS +SLOTS\s+spine-1 +a +ok +4096", table)


def test_a_new_key_is_one_that_a_node_accepts(tmp_path: Path) -> None:
    done = spine(
        *("key", "new", "--subject", "bot", "-n", "acme", "-n", "test", "--days", "1"),
        *("--scope", "memory:read"),
    )
    made = json.loads(done.stdout)
    file = tmp_path / "keys.yaml"
    file.write_text(json.dumps({"keys": [made["entry"]]}))
    assert parse_key(made["key"]) == (made["entry"]["id"], made["entry"]["sha256"])
    assert load_keys(file)
    assert made["entry"]["not_after"] == "2025-10-10T08:53:20Z"
    assert made["entry"]["scopes"] == ["memory:read"]


def test_a_cluster_secret_is_written_once(tmp_path: Path) -> None:
    cluster = tmp_path / "cluster.yaml"
    assert spine("key", "secret", str(cluster)).exit_code == Exit.OK
    assert (tmp_path / "cluster.secret").read_text() == "00" * 32 + "\n"
    again = spine("key", "secret", str(cluster))
    assert again.exit_code == Exit.USAGE
    assert "nothing was changed" in again.stderr
    assert spine("key", "secret").stdout == "00" * 32 + "\n"


def test_serve_hands_its_flags_to_the_node(tmp_path: Path) -> None:
    started: list[Settings] = []

    def run(settings: Settings, announce: Callable[[str, Path, str | None], None]) -> int:
        started.append(settings)
        announce("http://[::1]:9", settings.data, "waiting for b")
        announce("http://[::1]:9", settings.data, None)
        return 0

    words = ["serve", "--data", str(tmp_path), "--port", "0", "--auth", "none", "--host", "::1"]
    done = CliRunner().invoke(app, words, obj=Runtime(run_node=run))
    assert done.exit_code == Exit.OK
    assert f"serves http://[::1]:9 from {tmp_path}" in done.stderr
    assert "listens on http://[::1]:9, not ready yet: waiting for b" in done.stderr
    assert "spine list -n demo --url http://[::1]:9\n" in done.stderr
    (settings,) = started
    assert (settings.mode, settings.data, settings.port) == ("single", tmp_path, 0)
    assert (settings.auth, settings.host) == ("none", "::1")


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from _commands(inner, (*path, name))
    else:
        yield " ".join(path), command


ALL_COMMANDS = dict(_commands(get_command(app)))


@pytest.mark.parametrize("name", ALL_COMMANDS)
def test_every_command_explains_itself_with_an_example(name: str) -> None:
    done = spine(*name.split(), "--help")
    assert done.exit_code == Exit.OK
    assert re.search(rf"`[^`]*spine {name}", ALL_COMMANDS[name].help)
    for parameter in ALL_COMMANDS[name].params:
        assert getattr(parameter, "help", None) or parameter.metavar, parameter.name


def test_the_help_page_loads_neither_the_node_nor_the_network() -> None:
    code = (
        "import sys\nfrom spine_cli.main import app\n"
        "try: app(['--version'])\nexcept SystemExit: pass\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    version, modules = done.stdout.splitlines()
    assert version.startswith("spine ")
    assert not set(modules.split()) & {"aiohttp", "urllib3", "lmdb", "yaml", "spine_node"}
