"""Markdown pages, cut into sections and fenced blocks. Pure but for reading the file."""

import re
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

_SECTION = re.compile(r"^## (?P<title>.*)$", re.MULTILINE)
_BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True, slots=True)
class Page:
    """One page; `sections` is title → text in the order of the page."""

    path: Path

    @property
    def text(self) -> str:
        """The whole page."""
        return self.path.read_text(encoding="utf-8")

    @property
    def sections(self) -> dict[str, str]:
        """What stands below each `##` heading."""
        _introduction, *parts = _SECTION.split(self.text)
        return dict(zip(parts[::2], parts[1::2], strict=True))

    @property
    def blocks(self) -> set[tuple[str, str]]:
        """Which sections have blocks of which languages."""
        return {
            (title, found["language"])
            for title, text in self.sections.items()
            for found in _BLOCK.finditer(text)
        }

    def block(self, title: str, language: str) -> str:
        """Return the one block of a language in a section."""
        found = _BLOCK.finditer(self.sections[title])
        [text] = [block["text"] for block in found if block["language"] == language]
        return text

    def spans(self, title: str) -> list[str]:
        """Return what a section's sentences show as code."""
        return _SPAN.findall(_BLOCK.sub("", self.sections[title]))


README = Page(REPOSITORY / "README.md")
TUTORIAL = Page(REPOSITORY / "docs" / "tutorial.md")


def lines_of(block: str) -> list[str]:
    """Return the commands of a shell block, without comments."""
    lines = (re.sub(r"(^|\s+)#.*", "", line) for line in block.splitlines())
    return [line for line in lines if line]
