"""The demo: from nothing to an audited cluster on real Kubernetes, with its figures at the end.

KEEP=1 leaves the cluster up and says how to use and how to remove it. DEMO_LEAST and DEMO_RATE make
the load smaller or larger than 10,000 memories at 100 a second.
"""

import os
import sys
from pathlib import Path

from rich.console import Console

from demo.play import Play, Settings
from demo.watch import StepFailedError
from localkube.errors import LocalKubeError
from localkube.images.project import REPOSITORY


def main() -> int:
    """Play the demo; 0 only when every promise held."""
    settings = Settings(
        root=REPOSITORY / "build" / "demo",
        keep=os.environ.get("KEEP") == "1",
        least=int(os.environ.get("DEMO_LEAST", "10000")),
        rate=float(os.environ.get("DEMO_RATE", "100")),
    )
    try:
        return Play(settings).run()
    except (LocalKubeError, StepFailedError) as error:
        Console(stderr=True).print(f"\n[red]the demo stopped:[/red] {error}", highlight=False)
        logs = Path("build/demo/logs")
        Console(stderr=True).print(f"logs: {logs}", style="dim")
        return 1


if __name__ == "__main__":
    sys.exit(main())
