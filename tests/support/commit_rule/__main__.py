"""`python -m commit_rule message FILE` judges one message, `newest` the commits since the rule.

The first is what .githooks/commit-msg runs, the second is part of `make check`. Where there is no
history to judge, as in an unpacked archive, the second says so and is content.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from commit_rule import BY_GIT, faults_of, text_of

ROOT = Path(__file__).parents[3]
BEGINNING = ".githooks/README.md"  # the rule holds for what came after this file


def main(arguments: Sequence[str]) -> int:
    """Return 1 when a message breaks the rule, 2 when it was called wrongly."""
    match arguments:
        case ["message", file]:
            return _judge_message(Path(file))
        case ["newest"]:
            return _judge_newest(ROOT)
        case _:
            sys.stderr.write(f"{__doc__}")
            return 2


def _judge_message(file: Path) -> int:
    message = text_of(file.read_text(encoding="utf-8", errors="replace"))
    faults = [] if message.startswith(BY_GIT) else faults_of(message)
    for fault in faults:
        sys.stderr.write(f"commit-msg: {fault}\n")
    return 1 if faults else 0


def _judge_newest(root: Path) -> int:
    if _git(root, "rev-parse", "--show-toplevel") != str(root.resolve()):
        sys.stdout.write("commits: not a git checkout, so there is nothing to judge\n")
        return 0
    # In a shallow clone this is its oldest commit, which seems to add every file.
    began = (_git(root, "log", "--diff-filter=A", "--format=%H", "--", BEGINNING) or "").split()
    if not began:
        sys.stdout.write("commits: the rule is not committed yet\n")
        return 0
    count, wrong = 0, 0
    for name, message in _messages(root, f"{began[-1]}..HEAD"):
        count += 1
        faults = faults_of(message)
        wrong += bool(faults)
        for fault in faults:
            sys.stderr.write(f"commit {name[:10]}: {fault}\n")
    sys.stdout.write(f"commits: {count - wrong} of the newest {count} follow the rule\n")
    return 1 if wrong else 0


def _messages(root: Path, span: str) -> Iterator[tuple[str, str]]:
    """Yield name and message of the commits of a range, without merges."""
    listed = _git(root, "log", "--no-merges", "--format=%H%n%B%x00", span) or ""
    for entry in listed.split("\0"):
        if entry.strip():
            name, _, message = entry.strip().partition("\n")
            yield name, message


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git prints, None when it fails or is not there."""
    try:
        ended = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return None
    return ended.stdout.strip() if ended.returncode == 0 else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
