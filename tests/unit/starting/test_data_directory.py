"""The files of a node are nobody else's, whoever made them, and are not opened when one is missing."""

import logging
import os
import stat
from pathlib import Path

import pytest

from spine_core.errors import InvalidInputError
from spine_node.data_directory import claim_directory, close_to_others
from spine_node.modes import set_up
from spine_node.settings import Settings

NAMES = ("data.mdb", "lock.mdb", "lock", "secret", "index.sqlite", "index.sqlite-wal")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def refuse(_path: Path, _mode: int) -> None:
    raise PermissionError("not the owner")


def test_what_was_there_before_is_closed_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in NAMES:
        (tmp_path / name).write_bytes(b"x")
        (tmp_path / name).chmod(0o664)
    (tmp_path / "notes.txt").touch()
    (tmp_path / "notes.txt").chmod(0o644)
    tmp_path.chmod(0o755)
    with caplog.at_level(logging.WARNING, "spine.node"):
        claim_directory(tmp_path, mounted=False)
    assert mode_of(tmp_path) == 0o700
    assert {mode_of(tmp_path / name) for name in NAMES} == {0o600}
    assert mode_of(tmp_path / "notes.txt") == 0o644  # not ours
    told = {vars(record)["path"]: vars(record)["mode"] for record in caplog.records}
    assert told == {str(tmp_path): "0755"} | {str(tmp_path / name): "0664" for name in NAMES}
    caplog.clear()
    claim_directory(tmp_path, mounted=False)
    assert caplog.records == []


def test_what_we_may_not_close_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.touch()
    file.chmod(0o644)
    with pytest.raises(InvalidInputError, match="its owner must run chmod 640") as refused:
        close_to_others(file, chmod=refuse)
    assert refused.value.path == str(file)


@pytest.mark.parametrize(("mode", "may_stay"), [(0o640, False), (0o775, True)])
def test_a_group_and_the_root_of_a_volume_may_stay_as_their_owner_made_them(
    tmp_path: Path, mode: int, may_stay: bool
) -> None:
    tmp_path.chmod(mode)
    close_to_others(tmp_path, 0o077, may_stay=may_stay, chmod=refuse)
    assert mode_of(tmp_path) == mode
    tmp_path.chmod(0o700)


def test_a_start_closes_what_a_node_reads(tmp_path: Path) -> None:
    data, keys = tmp_path / "data", tmp_path / "keys.yaml"
    keys.write_text("keys: []\n")
    keys.chmod(0o666)
    data.mkdir()
    data.chmod(0o777)
    previous = os.umask(0)
    try:
        set_up(Settings.load({"data": str(data), "keys": str(keys)}, {}))
    finally:
        os.umask(previous)
    assert (mode_of(data), mode_of(data / "secret"), mode_of(keys)) == (0o700, 0o600, 0o664)


def test_an_open_secret_of_a_cluster_is_closed(tmp_path: Path) -> None:
    cluster = tmp_path / "cluster.yaml"
    cluster.write_text(
        "cluster:\n  name: demo\n  nodes: [{id: a, host: 127.0.0.1, port: 1}]\n"
        "  replication: {factor: 1}\n"
    )
    secret = tmp_path / "cluster.secret"
    secret.write_text("00" * 32)
    secret.chmod(0o644)
    given = {"data": str(tmp_path / "data"), "cluster": str(cluster), "node": "a"}
    set_up(Settings.load(given, {}))
    assert mode_of(secret) == 0o640


@pytest.mark.parametrize("store", [None, b""])
def test_an_index_without_its_store_is_no_new_node(tmp_path: Path, store: bytes | None) -> None:
    (tmp_path / "index.sqlite").write_bytes(b"SQLite format 3")
    if store is not None:
        (tmp_path / "data.mdb").write_bytes(store)
    with pytest.raises(InvalidInputError, match=r"remove index\.sqlite to begin") as refused:
        claim_directory(tmp_path, mounted=False)
    assert refused.value.path == str(tmp_path / "data.mdb")
    assert not (tmp_path / "lock.mdb").exists()


def test_a_secret_alone_is_a_start_that_went_no_further(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("00" * 32)
    claim_directory(tmp_path, mounted=False)
