"""kubectl with one kubeconfig."""

import json
from dataclasses import dataclass
from pathlib import Path

from localkube.api import Json
from localkube.processes import run
from localkube.tools import program


@dataclass(frozen=True, slots=True)
class Kubectl:
    """Call it with kubectl's words; it returns what kubectl prints."""

    kubeconfig: Path

    def __call__(self, *words: object, stdin: str | None = None) -> str:
        """Run kubectl.

        Raises:
            CommandError: kubectl failed; carries what it printed.
        """
        return run(*self.argv(*words), stdin=stdin)

    def argv(self, *words: object) -> list[str]:
        """Return the whole command, for programs that run it themselves."""
        return [program("kubectl"), f"--kubeconfig={self.kubeconfig}", *map(str, words)]

    def get(self, *words: object) -> Json:
        """Return `kubectl get WORDS -o json`, parsed."""
        found: Json = json.loads(self("get", *words, "--output=json"))
        return found

    def apply(self, *documents: Json) -> list[Json]:
        """Server-side apply of some objects, strictly validated; return what was stored."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(documents)})
        words = ("--server-side", "--validate=strict", "--filename=-", "--output=json")
        stored: Json = json.loads(self("apply", *words, stdin=text))
        items: list[Json] = stored["items"] if stored["kind"] == "List" else [stored]
        return items
