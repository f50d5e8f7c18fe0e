"""What a stored version is: signed, and refused when a byte differs."""

import multiprocessing
import stat
from datetime import UTC, datetime

import msgspec
import pytest

from model import artifact
from model.artifact import Manifest, TrainedOn
from utils.errors import IntegrityError, SettingsError
from utils.settings import Settings

KEY = b"a key of more than sixteen characters"
PART = b"bytes of a pipeline"
MANIFEST = Manifest(
    model="songs",
    version="3",
    created_at=datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC),
    task="classification",
    spec="name: songs",
    metrics={"roc_auc": 0.98, "f1": None},
    cross_validation={"roc_auc": {"mean": 0.97, "std": 0.01}},
    threshold=0.3,
    packages={"scikit-learn": "1.9.1"},
    python="3.11.7",
    trained_on=TrainedOn(
        source="songs.csv", digest="d", n_rows=100, n_held_out=20, n_unlabelled=0, n_incomplete=0
    ),
    seconds=1.5,
    parts={"pipeline.joblib": artifact.digest(PART)},
)


def changed(manifest, **changes):
    return msgspec.structs.replace(manifest, **changes)


def test_a_signed_manifest_is_verified_after_a_trip_through_the_store():
    stored = artifact.sign(MANIFEST, KEY).document()
    read = artifact.from_document(stored)

    artifact.verify(read, KEY)
    assert changed(read, signature="") == MANIFEST
    assert stored["created_at"] == MANIFEST.created_at  # an instant, as MongoDB keeps it


def test_what_has_its_default_is_not_written_so_a_later_field_leaves_old_signatures_valid():
    stored = artifact.sign(MANIFEST, KEY).document()

    assert "not_compiled" not in stored


@pytest.mark.parametrize(
    "change",
    [
        {"model": "cars"},
        {"version": "4"},
        {"threshold": 0.30000000000000004},
        {"metrics": {"roc_auc": 0.99, "f1": None}},
        {"parts": {"pipeline.joblib": artifact.digest(b"other bytes")}},
        {"spec": "name: songs "},
        {"signature": ""},
        {"signature": "é"},
    ],
)
def test_any_change_of_a_manifest_is_found(change):
    with pytest.raises(IntegrityError, match="signed"):
        artifact.verify(changed(artifact.sign(MANIFEST, KEY), **change), KEY)


def test_another_key_is_found():
    with pytest.raises(IntegrityError, match="SIGNING_KEY"):
        artifact.verify(artifact.sign(MANIFEST, KEY), b"another key of sixteen or more")


def test_a_part_is_returned_only_if_every_byte_is_what_was_signed():
    assert artifact.checked(MANIFEST, "pipeline.joblib", PART) == PART
    for position in range(len(PART)):
        broken = PART[:position] + bytes([PART[position] ^ 1]) + PART[position + 1 :]
        with pytest.raises(IntegrityError):
            artifact.checked(MANIFEST, "pipeline.joblib", broken)


def test_a_part_that_was_not_signed_is_refused():
    with pytest.raises(IntegrityError):
        artifact.checked(MANIFEST, "extra.joblib", PART)


@pytest.mark.parametrize("document", [{}, {"model": "songs"}, MANIFEST.document() | {"threshold": "high"}])
def test_what_is_no_manifest_is_refused(document):
    with pytest.raises(IntegrityError, match="cannot be read"):
        artifact.from_document(document)


def test_the_setting_is_the_key(tmp_path):
    settings = Settings(state_dir=tmp_path, signing_key="sixteen letters and more")

    assert artifact.signing_key(settings) == b"sixteen letters and more"
    assert not list(tmp_path.iterdir())


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path):
    settings = Settings(state_dir=tmp_path / "new")
    first, second = artifact.signing_key(settings), artifact.signing_key(settings)
    path = tmp_path / "new" / "signing-key"

    assert first == second == path.read_bytes()
    assert len(first) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list((tmp_path / "new").iterdir()) == [path]


def _key(state_dir):
    return artifact.signing_key(Settings(state_dir=state_dir))


def test_processes_that_start_at_once_get_one_key(tmp_path):
    with multiprocessing.get_context("fork").Pool(8) as pool:
        keys = pool.map(_key, [tmp_path] * 40, chunksize=1)

    assert len(set(keys)) == 1


def test_a_short_key_is_refused_by_name(tmp_path):
    with pytest.raises(SettingsError, match="SIGNING_KEY"):
        artifact.signing_key(Settings(state_dir=tmp_path, signing_key="secret"))


def test_an_unusable_state_dir_is_refused_by_name(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(SettingsError, match="STATE_DIR"):
        artifact.signing_key(Settings(state_dir=tmp_path / "file"))


def test_other_packages_are_told_with_the_pin_to_install():
    here = artifact.installed_packages()
    same, other = (
        changed(MANIFEST, packages=here),
        changed(MANIFEST, packages=here | {"scikit-learn": "1.0.2"}),
    )

    assert artifact.other_packages(same) == {}
    assert artifact.advice(other) == "Install what it was trained with: pip install scikit-learn==1.0.2"
