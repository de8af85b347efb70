"""Container images, unpacked once for all nodes of a cluster.

    python -m localkube.seed ROOT

A containerd of its own unpacks the images into one directory; every new node gets that directory as
hard links. That is safe because image layers are only ever read (a container writes to a layer of
its own); containerd's databases are written, so they are copied. Unpacking is the dearest part of
a start: without the seed every node would do it.
"""

import shutil
import sys
from pathlib import Path

from localkube.clock import until
from localkube.plan import ClusterPlan
from localkube.processes import Daemons, run
from localkube.tools import program

CONFIGURATION = """\
version = 3
root = "{seed}"
state = "{seed}.state"
disabled_plugins = ["io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]

[grpc]
address = "{seed}.sock"
"""


def seed_of(plan: ClusterPlan) -> Path:
    """Return the directory that nodes start from."""
    return plan.disks / "seed"


def import_image(containerd: Path, archive: Path, socket: str) -> None:
    """Give an image to the containerd in this directory, unless it has had this very file."""
    file = archive.resolve()
    mark = containerd / f"{archive.name}.{file.stat().st_mtime_ns}"
    if not mark.exists():
        words = ("--namespace=k8s.io", "images", "import", "--local", "--snapshotter=overlayfs")
        run(program("ctr"), f"--address={socket}", *words, file)
        mark.touch()


def plant(seed: Path, containerd: Path) -> None:
    """Give a new node the seed: links to what is read, copies of what is written."""
    run("cp", "--archive", "--link", "--no-target-directory", seed, containerd)
    for database in seed.rglob("*.db"):
        copy = containerd / database.relative_to(seed)
        copy.unlink()
        shutil.copy2(database, copy)


def main(root: Path) -> None:
    """Unpack the images of the cluster in `root`."""
    plan = ClusterPlan.load(root)
    seed = seed_of(plan)
    configuration, socket = seed.with_suffix(".toml"), seed.with_suffix(".sock")
    configuration.write_text(CONFIGURATION.format(seed=seed))
    daemons = Daemons(plan.root)
    daemons.start("seed.containerd", [program("containerd"), f"--config={configuration}"])
    until("containerd", socket.exists)
    for archive in sorted(plan.images.glob("*.tar")):
        import_image(seed, archive, str(socket))
    daemons.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
