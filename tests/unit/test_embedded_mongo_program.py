"""Finding a mongod, and the bounds of its log."""

import shutil

import pytest

from utils import mongod, mongod_keeper
from utils.mongod import EmbeddedMongoError


@pytest.fixture
def empty_path(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


def put(path, mode=0o755):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


def test_the_program_asked_for_wins(monkeypatch, tmp_path):
    put(tmp_path / "bin" / "mongod")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    asked = put(tmp_path / "my-mongod")

    assert mongod.find(asked) == asked


def test_a_program_asked_for_that_is_not_there_is_told(tmp_path):
    with pytest.raises(EmbeddedMongoError, match="nowhere, which is not a file"):
        mongod.find(tmp_path / "nowhere")


def test_the_one_on_path_comes_before_the_one_in_the_wheel(monkeypatch, tmp_path):
    on_path = put(tmp_path / "bin" / "mongod")
    put(tmp_path / "site" / mongod.IN_WHEEL)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    assert mongod.find(folders=[str(tmp_path / "site")]) == on_path


def test_the_one_in_the_wheel_is_made_executable(empty_path, tmp_path):
    in_wheel = put(tmp_path / "site" / mongod.IN_WHEEL, 0o644)

    assert mongod.find(folders=[str(tmp_path), str(tmp_path / "site")]) == in_wheel
    assert shutil.which(str(in_wheel))


def test_where_there_is_none_the_two_ways_out_are_told(empty_path):
    with pytest.raises(EmbeddedMongoError, match="no `mongod` was found") as error:
        mongod.find(folders=[])

    assert "requirements-local.txt" in error.value.detail
    assert "MONGO_URI" in error.value.detail


def test_an_unknown_error_of_the_system_is_named():
    assert mongod.explain(None, 5, "") == "it cannot be started (EIO)"


def test_a_log_that_is_too_long_is_cut_and_one_copy_is_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(mongod_keeper, "MAX_LOG_BYTES", 10)
    log = tmp_path / "mongod.log"
    with log.open("a") as writer:
        for text in ("a" * 11, "b" * 11, "c"):
            mongod_keeper.cut_log(log)
            writer.write(text)
            writer.flush()

    assert log.read_text() == "c"
    assert (tmp_path / "mongod.log.1").read_text() == "b" * 11
