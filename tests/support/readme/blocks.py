"""Markdown pages, cut into sections and fenced blocks. Pure."""

import re
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]

_SECTION = re.compile(r"^## (?P<title>.*)$", re.MULTILINE)
_BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block, and the heading that it stands below."""

    section: str
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """The text of one page."""

    text: str

    @property
    def sections(self) -> dict[str, str]:
        """Heading → what stands below it, in the order of the page."""
        _introduction, *parts = _SECTION.split(self.text)
        return dict(zip(parts[::2], parts[1::2], strict=True))

    @property
    def blocks(self) -> list[Block]:
        """All blocks in the order of the page."""
        return [
            Block(title, found["language"], found["text"])
            for title, text in self.sections.items()
            for found in _BLOCK.finditer(text)
        ]

    def code(self, language: str) -> list[str]:
        """Return every block of a language, also what stands above the first section."""
        return [b["text"] for b in _BLOCK.finditer(self.text) if b["language"] == language]

    def block(self, section: str, language: str) -> str:
        """Return the one block of a language in a section."""
        [text] = [b.text for b in self.blocks if (b.section, b.language) == (section, language)]
        return text

    def spans(self, section: str) -> list[str]:
        """Return what a section's sentences show as code."""
        return _SPAN.findall(_BLOCK.sub("", self.sections[section]))


README = Page((REPOSITORY / "README.md").read_text(encoding="utf-8"))
CLIENT = Page((REPOSITORY / "docs" / "reference" / "client.md").read_text(encoding="utf-8"))
TUTORIAL = Page((REPOSITORY / "docs" / "tutorial.md").read_text(encoding="utf-8"))


def lines_of(block: str) -> list[str]:
    """Return the commands of a shell block, without comments."""
    lines = (re.sub(r"(^|\s+)#.*", "", line) for line in block.splitlines())
    return [line for line in lines if line]
