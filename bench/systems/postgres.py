"""PostgreSQL: a primary and two synchronous standbys, of which any one must have the commit on disk."""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.processes import Process, free_ports
from bench.systems.system import MissingError, Tally
from bench.waiting import until

USER = "postgres"  # who runs it when we are root: PostgreSQL refuses root
_SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 100
shared_buffers = 256MB
max_wal_size = 4GB
fsync = on
synchronous_commit = on
synchronous_standby_names = 'ANY 1 (s1, s2)'
"""


def _folder() -> Path | None:
    """Return where the newest installed PostgreSQL keeps its programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=_major)
    return found[-1].parent if found else None


def _major(program: Path) -> int:
    return int(program.parts[-3])


class Postgres:
    """Servers `p`, `s1` and `s2`; the table has a number as key and the memory as JSON, as sent."""

    name = "postgres"
    durability = "fsync on 2 of 3 before the answer (ANY 1 of 2 standbys)"
    replicas = 3

    def __init__(self, root: Path) -> None:
        self._root = root / "postgres"
        self._servers: list[Process] = []
        self._ports = free_ports(3)
        self._user = USER if os.geteuid() == 0 else None
        self._programs = _folder() or Path()

    @property
    def port(self) -> int:
        """The port of the primary."""
        return self._ports[0]

    def start(self) -> None:
        """Make the primary, copy it twice, and wait until both copies follow."""
        if not self._programs.name or not shutil.which("pgbench"):
            raise MissingError("PostgreSQL is not installed: apt-get install postgresql")
        self._root.mkdir()
        if self._user:
            shutil.chown(self._root, self._user)
        self._run("initdb", "-D", self._root / "p", "-A", "trust", "-U", USER, "--no-sync")
        with (self._root / "p" / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS)
        self._serve("p", self._ports[0])
        for name, port in zip(("s1", "s2"), self._ports[1:], strict=True):
            source = f"host=127.0.0.1 port={self.port} user={USER} application_name={name}"
            copy = ("-D", self._root / name, "-R", "-X", "stream", "-c", "fast", "-d", source)
            self._run("pg_basebackup", *copy)
            self._serve(name, port)
        following = "select count(*) from pg_stat_replication where sync_state = 'quorum'"
        until("standbys follow", lambda: self.ask(self.port, following) == "2")
        self.ask(
            self.port,
            "create table memory"
            " (id bigint generated always as identity primary key, body json not null)",
        )

    def _run(self, program: str, *arguments: str | Path) -> None:
        account: dict[str, Any] = {"user": USER, "group": USER, "extra_groups": []}
        command = [str(self._programs / program), *map(str, arguments)]
        subprocess.run(
            command,
            check=True,
            cwd=self._root,
            capture_output=True,
            **(account if self._user else {}),
        )

    def _serve(self, name: str, port: int) -> None:
        command: Sequence[str | Path] = (self._programs / "postgres", "-D", self._root / name)
        log = self._root / f"{name}.log"
        self._servers.append(Process([*command, "-p", str(port)], log, user=self._user))
        until(f"PostgreSQL serves: see {log}", lambda: self.ask(port, "select 1") == "1")

    def ask(self, port: int, query: str) -> str:
        """Return the one value of a query, "" while there is no answer."""
        command = ("psql", "-h", "127.0.0.1", "-p", str(port), "-U", USER, "-Atc", query)
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    def pids(self) -> list[int]:
        """Return the first process of each server."""
        return [server.pid for server in self._servers]

    def version(self) -> str:
        """Return PostgreSQL's version."""
        return self.ask(self.port, "show server_version")

    def verify(self, tally: Tally) -> list[str]:
        """Count the rows on every server by itself, and see that all bodies are whole."""
        with suppress(TimeoutError):
            until("standbys agree", lambda: not tally.check_counts("server", self._counts()))
        wrong = tally.check_counts("server", self._counts())
        values = "select count(*) from memory where length(body::text) <> 1100 or body->>'agent_id' <> 'agent-7'"
        answers = [self.ask(port, values) for port in self._ports]
        return wrong + [f"server: {text} bodies are wrong" for text in answers if text != "0"]

    def _counts(self) -> list[int]:
        counts = [self.ask(port, "select count(*) from memory") for port in self._ports]
        return [int(count or 0) for count in counts]

    def close(self) -> None:
        """End the standbys first."""
        for server in reversed(self._servers):
            server.stop(signal.SIGINT)
