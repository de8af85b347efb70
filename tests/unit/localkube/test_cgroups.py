"""What is found in a tree of cgroups while the kernel takes it apart."""

import shutil
from pathlib import Path

from localkube.cgroups import processes


def test_groups_that_go_away_while_one_looks_are_left_out(tmp_path: Path) -> None:
    for name in ("a/b/c", "a/d/e", "f/g"):
        group = tmp_path / name
        group.mkdir(parents=True)
        (group / "cgroup.procs").write_text("1\n2\n")
    assert sorted(processes(tmp_path)) == [1, 1, 1, 2, 2, 2]
    found = processes(tmp_path)
    first = next(found)
    shutil.rmtree(tmp_path)
    assert [first, *found] == [1, 2]
