"""The rule for commit messages, and what a message lacks.

The subject can be found by a stranger with grep: `area: what`, at most 72 characters. The body says
what was broken, impossible or slow before; whether it does so truly, only a reader can tell.
"""

import re

SUBJECT_MAX = 72
BODY_MIN = 40  # characters: less says nothing
SUBJECT = re.compile(r"[a-z][\w./-]*(, [a-z][\w./-]*)*: \S.*\S")
TRAILER = re.compile(r"[A-Z][A-Za-z-]+: \S.*")
SCISSORS = "# ------------------------ >8 ------------------------"
BY_GIT = ("Merge ", "fixup! ", "squash! ", "amend! ")  # messages that git writes for a while


def text_of(edited: str) -> str:
    """Return the message in the file that an editor leaves: without git's comments."""
    lines = edited.split(SCISSORS, 1)[0].splitlines()
    return "\n".join(line.rstrip() for line in lines if not line.startswith("#")).strip()


def faults_of(message: str) -> list[str]:
    """Return what a message lacks, each in a few words; nothing when it follows the rule."""
    subject, _, rest = message.strip().partition("\n")
    faults = []
    if len(subject) > SUBJECT_MAX:
        faults.append(f"the subject has {len(subject)} characters, {SUBJECT_MAX} are allowed")
    if not SUBJECT.fullmatch(subject):
        faults.append("the subject is not of the form `area: what`")
    if subject.endswith("."):
        faults.append("the subject ends with a full stop")
    if rest and rest.partition("\n")[0].strip():
        faults.append("no empty line follows the subject")
    said = [line for line in rest.splitlines() if not TRAILER.fullmatch(line)]
    if len(" ".join(said).strip()) < BODY_MIN:
        faults.append("no body says what was broken, impossible or slow before")
    return faults
