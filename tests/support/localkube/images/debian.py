"""A Debian root file system with Python, unpacked from the distribution's own packages.

No maintainer script runs, so the tree is a function of the packages. Needs apt and dpkg, no root.
"""

import shutil
from pathlib import Path

from localkube.images.bytecode import compile_tree
from localkube.processes import run

PACKAGES = ("python3-minimal", "libpython3-stdlib", "ca-certificates", "busybox")
MERGED = ("bin", "sbin", "lib", "lib64")  # links into /usr
UNREAD = ("doc", "info", "lintian", "locale", "man")  # under /usr/share
BUSYBOX = [
    "cat",
    "df",
    "env",
    "id",
    "ip",
    "kill",
    "ls",
    "mount",
    "nslookup",
    "ps",
    "sh",
    "sleep",
    "tail",
    "wget",
]
USER, GROUP = "spine:x:10001:10001::/data:/bin/sh", "spine:x:10001:"  # as the Dockerfiles say
ACCOUNTS = {
    "passwd": f"root:x:0:0:root:/root:/bin/sh\n{USER}\n",
    "group": f"root:x:0:\n{GROUP}\n",
    "nsswitch.conf": "hosts: files dns\n",
}


def package_list(cache: Path) -> str:
    """Return address, size and checksum of every package needed: what the tree is a function of.

    Raises:
        CommandError: apt reaches no package archive.
    """
    lists = cache / "lists"  # our own: a new machine has none, and root no say
    if not any(lists.glob("*_Packages*")):  # also after an update that was cut short
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        run("apt-get", *_options(cache), "--option=APT::Update::Error-Mode=any", "update")
    nothing_here = f"--option=Dir::Cache::archives={cache}/none"  # apt leaves out what it has
    return run("apt-get", *_options(cache), nothing_here, "--print-uris", "install", *PACKAGES)


def unpack(cache: Path, tree: Path) -> None:
    """Write the root file system."""
    archives = cache / "archives"
    shutil.rmtree(archives, ignore_errors=True)  # of a build that was cut short
    (archives / "partial").mkdir(parents=True)
    run("apt-get", *_options(cache), "--download-only", "install", *PACKAGES)
    for name in MERGED:
        (tree / "usr" / name).mkdir(parents=True)
        (tree / name).symlink_to(f"usr/{name}")
    for package in sorted(archives.glob("*.deb")):
        content = tree.with_suffix(".tar")
        run("sh", "-c", 'dpkg-deb --fsys-tarfile "$1" > "$2"', "sh", package, content)
        run("tar", "-x", "--keep-directory-symlink", "-C", tree, "-f", content)
        content.unlink()
    shutil.rmtree(archives)
    _finish(tree)


def _finish(tree: Path) -> None:
    for name in UNREAD:
        shutil.rmtree(tree / "usr" / "share" / name, ignore_errors=True)
    for tool in BUSYBOX:
        if not (tree / "usr" / "bin" / tool).exists():
            (tree / "usr" / "bin" / tool).symlink_to("busybox")
    (tree / "tmp").mkdir(exist_ok=True)
    (tree / "tmp").chmod(0o1777)
    for name, text in ACCOUNTS.items():
        (tree / "etc" / name).write_text(text)
    _trust(tree)
    compile_tree(tree)


def _trust(tree: Path) -> None:
    """Do the one thing of the skipped scripts that matters: join the authorities' certificates."""
    bundle = tree / "etc" / "ssl" / "certs" / "ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    authorities = sorted((tree / "usr" / "share" / "ca-certificates").rglob("*.crt"))
    bundle.write_bytes(b"".join(file.read_bytes() for file in authorities))


def _options(cache: Path) -> list[str]:
    """Return options for apt under which nothing is installed yet, so that it names every package."""
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "none" / "partial").mkdir(parents=True, exist_ok=True)
    (cache / "status").touch()
    settings = {
        "Dir::State::status": cache / "status",
        "Dir::State::lists": cache / "lists",
        "Dir::Cache": cache,
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "1",
    }
    return ["-qq", "--yes", *(f"--option={name}={value}" for name, value in settings.items())]
