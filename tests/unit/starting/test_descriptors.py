"""A node that runs short of file descriptors goes on, and says what it does: with a real process."""

import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import pytest

from readme.cli_page import FILE as CLI_PAGE
from spine_node.settings import HELP

SOFT, HARD = 64, 160  # and so 80 connections, if the node raises the one to the other
IDLE = 100
DEADLINE_S = 60


@pytest.fixture
def node(tmp_path: Path) -> Iterator[IO[str]]:
    """Start a node with few descriptors; yield its log."""
    limits = f'ulimit -S -n {SOFT}; ulimit -H -n {HARD}; exec "$0" -m spine_node'
    given = {"SPINE_DATA": str(tmp_path / "data"), "SPINE_PORT": "0"}
    process = subprocess.Popen(
        ["bash", "-c", limits, sys.executable],
        env=os.environ | given,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    yield process.stderr
    process.terminate()
    process.communicate(timeout=DEADLINE_S)


def event(log: IO[str], name: str) -> dict[str, Any]:
    """Return the next line of the log with this name."""
    for line in log:
        found: dict[str, Any] = json.loads(line)
        if found["event"] == name:
            return found
    raise AssertionError(f"the node ended before it logged {name}")


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=DEADLINE_S) as answer:
        body: bytes = answer.read()
    return body


def test_idle_clients_never_lock_the_others_out(node: IO[str]) -> None:
    url = event(node, "node_serves")["url"]
    port = int(url.rpartition(":")[2])
    with ExitStack() as idle:
        for _ in range(IDLE):
            idle.enter_context(socket.create_connection(("127.0.0.1", port)))
        health = json.loads(get(f"{url}/healthz/ready"))
        assert health["status"] == "ok"
        assert "connections" in health["reasons"][0]
        put = urllib.request.Request(
            f"{url}/v1/ns/demo/memories/n",
            b'{"content": "x"}',
            {"Content-Type": "application/json"},
            method="PUT",
        )
        with urllib.request.urlopen(put, timeout=DEADLINE_S) as stored:
            assert stored.status == 201
        metrics = get(f"{url}/metrics").decode()
    closed = metrics.split('spine_connections_closed_total{reason="idle"} ')[1].split("\n")[0]
    assert IDLE - float(closed) <= HARD // 2
    assert event(node, "connections_short")["maximum"] == HARD // 2


def test_the_image_tells_its_settings_without_having_any() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "spine_node", "--help"],
        env={"PATH": os.environ["PATH"], "SPINE_PORT": "wrong"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    assert HELP in ended.stdout


def test_help_and_reference_name_the_same_settings() -> None:
    page = CLI_PAGE.with_name("settings.md").read_text(encoding="utf-8")
    section = page.split("\n## A node\n")[1].split("\n## ")[0]
    rows = {row.split("`")[1] for row in section.splitlines() if row.startswith("| `SPINE_")}
    reserved = {"SPINE_REGION_NAME", "SPINE_PEERS_DIR"}
    words = HELP.replace(",", " ").replace(".", " ").split()
    assert {word for word in words if word.startswith("SPINE_")} == rows - reserved
