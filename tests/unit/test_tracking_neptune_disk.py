"""The folders of offline runs: one writer each, mended after a kill, handed over to a server's run."""

import json
from pathlib import Path

from mlops.tracking import neptune_disk


def line(version: int) -> str:
    return json.dumps({"obj": {}, "version": version, "at": 0.0}) + "\n"


def test_the_same_model_gets_the_same_folder_after_a_restart(tmp_path: Path):
    first = neptune_disk.claim(tmp_path, "songs")
    first.release()
    second = neptune_disk.claim(tmp_path, "songs")
    second.release()

    assert first.path == second.path


def test_two_writers_at_once_get_two_folders_of_one_run(tmp_path: Path):
    first, second = neptune_disk.claim(tmp_path, "songs"), neptune_disk.claim(tmp_path, "songs")
    first.release()
    second.release()

    assert first.path != second.path
    assert first.path.name.split("__")[1] == second.path.name.split("__")[1]


def test_a_half_written_line_is_cut_and_the_count_follows(tmp_path: Path):
    (tmp_path / "data-1.log").write_text(line(1) + line(2) + '{"obj": {"ty')
    (tmp_path / "last_put_version").write_text("7")
    neptune_disk.mend(tmp_path)

    assert (tmp_path / "data-1.log").read_text() == line(1) + line(2)
    assert (tmp_path / "last_put_version").read_text() == "2"


def test_with_only_half_a_line_the_count_goes_back_to_the_file_before(tmp_path: Path):
    (tmp_path / "data-1.log").write_text(line(1))
    (tmp_path / "data-10.log").write_text('{"ob')
    neptune_disk.mend(tmp_path)

    assert (tmp_path / "data-10.log").read_text() == ""
    assert (tmp_path / "last_put_version").read_text() == "9"


def test_offline_folders_become_unsent_parts_of_the_servers_run(tmp_path: Path):
    neptune_disk.claim(tmp_path, "songs").release()
    neptune_disk.claim(tmp_path, "movies").release()

    assert neptune_disk.adopt(tmp_path, "songs", "server-uuid") == 1
    [unsent] = (tmp_path / ".neptune" / "async").iterdir()
    assert unsent.name.startswith("run__server-uuid__")
    assert len(list((tmp_path / ".neptune" / "offline").iterdir())) == 1


def test_a_folder_that_is_written_to_is_not_handed_over(tmp_path: Path):
    held = neptune_disk.claim(tmp_path, "songs")
    n_adopted = neptune_disk.adopt(tmp_path, "songs", "server-uuid")
    held.release()

    assert n_adopted == 0
    assert held.path.is_dir()
