"""A commit's subject can be found with grep, and its body says why."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from commit_rule import SUBJECT_MAX, faults_of, text_of
from commit_rule.__main__ import BEGINNING, ROOT, _judge_newest, main

WHY = "A connection was told its idle time-out with every request, which took a system call."
GOOD = f"http: set the idle time-out once per connection\n\n{WHY}\n"


@pytest.mark.parametrize(
    "subject",
    [
        "http: set the idle time-out once per connection",
        "core, engine: put modules into folders by idea",
        "docs/reference: name the layers",
        f"a: {'x' * (SUBJECT_MAX - 3)}",
    ],
)
def test_a_message_with_area_subject_and_body_is_good(subject: str) -> None:
    assert faults_of(f"{subject}\n\n{WHY}") == []


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (f"http: {'x' * SUBJECT_MAX}\n\n{WHY}", "characters"),
        (f"Set the idle time-out\n\n{WHY}", "area: what"),
        (f"wip\n\n{WHY}", "area: what"),
        (f"http:\n\n{WHY}", "area: what"),
        (f"http: set the time-out.\n\n{WHY}", "full stop"),
        (f"http: set the time-out\n{WHY}", "empty line"),
        ("http: set the time-out", "no body"),
        ("http: set the time-out\n\nIt is better.", "no body"),
        (f"http: set the time-out\n\nCo-authored-by: {'x' * 80}", "no body"),
        ("", "area: what"),
    ],
)
def test_what_a_message_lacks_is_said(message: str, fault: str) -> None:
    assert any(fault in each for each in faults_of(message))


def test_comments_and_the_diff_of_an_editor_are_no_part_of_the_message() -> None:
    edited = (
        f"{GOOD}\n# Please enter the commit message\n# {'-' * 24} >8 {'-' * 24}\ndiff --git a b"
    )
    assert text_of(edited) == GOOD.strip()


@pytest.mark.parametrize(
    ("text", "status"),
    [(GOOD, 0), ("wip", 1), ("fixup! http: set it", 0), ("Merge branch 'x'", 0)],
)
def test_the_hook_judges_the_file_that_git_gives_it(tmp_path: Path, text: str, status: int) -> None:
    file = tmp_path / "COMMIT_EDITMSG"
    file.write_text(text)
    assert main(["message", str(file)]) == status


def git(checkout: Path, *arguments: str) -> None:
    own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    person = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "core.hooksPath=none"]
    without = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    subprocess.run(
        ["git", *person, *arguments],
        cwd=checkout,
        env=without | own,
        check=True,
        capture_output=True,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one bad commit, then the one that brings the rule."""
    made = tmp_path / "checkout"
    made.mkdir()
    git(made, "init", "-q")
    git(made, "commit", "-q", "--allow-empty", "-m", "wip")
    file = made / BEGINNING
    file.parent.mkdir()
    file.write_text("")
    git(made, "add", ".")
    git(made, "commit", "-q", "-m", "begin")
    return made


def test_only_commits_after_the_rule_are_judged(checkout: Path) -> None:
    assert _judge_newest(checkout) == 0
    git(checkout, "commit", "-q", "--allow-empty", "-m", GOOD)
    assert _judge_newest(checkout) == 0
    git(checkout, "commit", "-q", "--allow-empty", "-m", "wip")
    git(checkout, "commit", "-q", "--allow-empty", "-m", GOOD)
    assert _judge_newest(checkout) == 1


def test_a_shallow_clone_has_its_newest_commits_judged(checkout: Path, tmp_path: Path) -> None:
    for message in ("wip", GOOD, GOOD):
        git(checkout, "commit", "-q", "--allow-empty", "-m", message)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth=2", checkout.as_uri(), str(clone))
    assert _judge_newest(clone) == 0
    git(clone, "commit", "-q", "--allow-empty", "-m", "wip")
    assert _judge_newest(clone) == 1


def test_outside_git_there_is_nothing_to_judge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _judge_newest(tmp_path) == 0
    assert "not a git checkout" in capsys.readouterr().out


def test_the_hook_runs(tmp_path: Path) -> None:
    file = tmp_path / "message"
    file.write_text("wip")
    ended = subprocess.run(
        ["sh", str(ROOT / ".githooks" / "commit-msg"), str(file)],
        cwd=ROOT,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "commit-msg: the subject is not of the form" in ended.stderr
