"""Reads the commands and programs out of the pages for people, and runs them as people would.

No test copies a line of a page, so a page cannot say what does not work.
"""

from readme.blocks import CLIENT, README, REPOSITORY, TUTORIAL, Page, lines_of
from readme.terminal import Terminal

__all__ = ["CLIENT", "README", "REPOSITORY", "TUTORIAL", "Page", "Terminal", "lines_of"]
