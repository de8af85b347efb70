"""What the README and the tutorial say about nodes on one machine is what happens."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.nodes import free_ports
from localkube.clock import until
from localkube.processes import run
from memory_spine.config import DEFAULT_URL
from readme import CLIENT, README, REPOSITORY, TUTORIAL, Page, Terminal, lines_of
from readme.installed import install

ALONE, FROM_FILE = "Use it alone", "Run it from a file"
INSTALL, SERVE = lines_of(README.block(ALONE, "sh"))
ELSEWHERE = {"For other machines", "On Kubernetes"}  # of the tutorial; `make demo` plays the last
ANNOUNCED = r"(?:serves|listens on) (http://\S+)"  # nodes of a cluster wait for each other


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `spine` and `python` are after the README's own installation."""
    return install(tmp_path_factory.mktemp("installed"), INSTALL)


@pytest.fixture
def terminal(tmp_path: Path, programs: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path, programs)
    yield terminal
    terminal.close()


def serve_alone(terminal: Terminal) -> str:
    """Start a node on a free port, have the commands use it, and return its URL."""
    url = terminal.start(f"{SERVE} --port 0", ANNOUNCED)[1]
    terminal.export(SPINE_URL=url)
    return url


def on_free_ports(text: str) -> str:
    """Replace each `port:` of a cluster file, and every mention of it, by one that is free."""
    ports = re.findall(r"port: (\d+)", text)
    for theirs, ours in zip(ports, free_ports(len(ports)), strict=True):
        text = text.replace(theirs, str(ours))
    return text


def facts_in(said: str) -> Any:
    """Return the JSON that a command printed, after what it told a person meanwhile."""
    return json.loads(said[said.index("{") :])


def test_the_program_of_the_readme_prints_what_it_stored(terminal: Terminal) -> None:
    program = README.block(ALONE, "python")
    assert program.count(DEFAULT_URL) == 1
    said = terminal.call("python", "-c", program.replace(DEFAULT_URL, serve_alone(terminal)))
    [content] = re.findall(r'create\("([^"]+)"', program)
    got, listed = said.splitlines()
    assert got == content
    assert re.fullmatch(rf"\d{{4}}-\d\d-\d\d .* {content}", listed)


def test_the_page_of_the_client_runs_from_top_to_bottom(terminal: Terminal) -> None:
    program = "\n".join(CLIENT.code("python"))
    terminal.call("python", "-c", program.replace(DEFAULT_URL, serve_alone(terminal)))


def test_the_commands_that_the_readme_names_work(terminal: Terminal) -> None:
    serve_alone(terminal)
    terminal.export(SPINE_NAMESPACE="demo")
    memory_id = terminal.run("spine store 'the sky is blue' --output id").strip()
    assert facts_in(terminal.run(f"spine get {memory_id}"))["content"] == "the sky is blue"
    assert terminal.run("spine list --output id").split() == [memory_id]
    terminal.run(f"spine forget {memory_id}")
    assert terminal.run("spine list --output id") == "no memory matches\n"
    used = {"spine store", "spine get", "spine list", "spine forget"}
    named = {span for span in README.spans(ALONE) if span.startswith("spine ")}
    assert named == used | {"spine COMMAND --help"}
    for command in used:
        assert f"{command} -n" in terminal.run(f"{command} --help"), "the example"


def test_the_commands_of_the_readme_run_a_cluster_from_its_file(terminal: Terminal) -> None:
    serve, plan, apply = lines_of(README.block(FROM_FILE, "sh"))
    example = Path("examples", "cluster.yaml")
    file = terminal.directory / example
    file.parent.mkdir()
    file.write_text(on_free_ports((REPOSITORY / example).read_text(encoding="utf-8")))
    for number in "123":
        line = serve.replace("spine-1", f"spine-{number}").replace("data-1", f"data-{number}")
        terminal.start(line, ANNOUNCED)
    until("the first document", lambda: facts_in(terminal.run(plan))["action"] == "done")
    assert facts_in(terminal.run(apply))["action"] == "done"


def test_the_tutorial_leads_from_one_node_to_four(terminal: Terminal) -> None:
    page = Page(on_free_ports(TUTORIAL.text))
    printed: dict[str, str] = {}
    for block in page.blocks:
        if block.section in ELSEWHERE:
            continue
        if block.language == "yaml":
            with (terminal.directory / "cluster.yaml").open("a") as file:
                file.write(block.text)
        else:
            for line in lines_of(block.text):
                printed[line] = type_in(terminal, line)
    listed, got = (said for line, said in printed.items() if line.split()[1] in {"list", "get"})
    assert json.loads(listed)[0]["content"] == "Alice prefers metric units"
    assert facts_in(got)["content"] == "The release is on Friday"
    line = "spine topology status --cluster cluster.yaml"
    assert facts_in(printed[line])["phase"] == "stable"
    four = [(f"spine-{number}", "ok") for number in "1234"]

    def all_ok() -> bool:  # a node that has joined is `starting` until its first round of pulls
        return [
            (row["node"], row["status"]) for row in facts_in(terminal.run(line))["nodes"]
        ] == four

    until("four nodes in step", all_ok)


def type_in(terminal: Terminal, line: str) -> str:
    """Do what a reader does with a line; what goes on running gets a terminal of its own."""
    if line == INSTALL:
        return ""  # done
    if line == SERVE:
        return serve_alone(terminal)
    return terminal.start(line, ANNOUNCED)[0] if line.startswith(SERVE) else terminal.run(line)


def test_every_block_of_the_readme_is_run_by_a_test() -> None:
    assert {(block.section, block.language) for block in README.blocks} == {
        ("See it work", "sh"),  # by CI and by the demo
        (ALONE, "sh"),
        (ALONE, "python"),
        (FROM_FILE, "sh"),
        ("Run it on Kubernetes", "sh"),  # by tests/e2e
        ("Run it on Kubernetes", "yaml"),
    }


def test_make_help_lists_every_target_of_the_makefile() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    [phony] = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    said = run("make", "--no-print-directory", "--directory", REPOSITORY, "help")
    listed = re.findall(r"^ *make ([a-z-]+) ", said, re.MULTILINE)
    assert sorted(listed) == sorted(phony.split())
