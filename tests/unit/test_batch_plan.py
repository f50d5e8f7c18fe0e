"""A run that begins anew finds again what the one that it gives up has logged and counted."""

import msgspec
import pytest

from mlops.batch.workfolder import Done, Plan, WorkFolder

GIVEN_UP = Plan(
    model="m", version="1", digest="d", is_logged=True, inputs=[("file:///a.csv", 9, "1")], part_bytes=100,
    id="batch-1", first_id="0190b5f0-0000-7000-8000-000000000000",
)  # fmt: skip


def begun_anew(**changed):
    """A plan of its own that has these other values."""
    new = {"id": "batch-2", "first_id": "0190b5f0-0000-7000-8000-111111111111"}
    return msgspec.structs.replace(GIVEN_UP, **new, **changed)


def test_the_same_run_again_has_the_same_ids():
    plan = begun_anew(digest="packed anew").after(GIVEN_UP)

    assert (plan.id, plan.first_id, plan.refusals_id) == (GIVEN_UP.id, GIVEN_UP.first_id, GIVEN_UP.id)


@pytest.mark.parametrize("changed", [{"version": "2"}, {"redacted": ["guest:hash"]}])
def test_other_answers_to_the_same_rows_have_other_ids_but_refusals_are_not_counted_again(changed):
    plan = begun_anew(**changed).after(GIVEN_UP)

    assert plan.first_id != GIVEN_UP.first_id and plan.refusals_id == GIVEN_UP.id
    assert begun_anew(version="3").after(plan).refusals_id == GIVEN_UP.id


@pytest.mark.parametrize("changed", [{"inputs": [("file:///a.csv", 9, "2")]}, {"part_bytes": 50}])
def test_other_rows_have_nothing_in_common(changed):
    assert begun_anew(**changed).after(GIVEN_UP) == begun_anew(**changed)


def test_a_worker_that_is_late_with_a_run_that_was_given_up_changes_nothing(tmp_path):
    folder = WorkFolder(f"file://{tmp_path}/a.parts")
    late = folder.of(folder.joined(msgspec.structs.replace(GIVEN_UP, attempt="first")))
    plan = folder.begun_anew(begun_anew(attempt="second", inputs=[("file:///a.csv", 9, "2")]))

    late.finish(0, {"out": b"of other rows"}, Done(1, 1, 0, 0))

    assert folder.of(plan).done(0) is None and folder.of(plan).read("000000.out") is None
    assert folder.of(folder.joined(plan)).done(0) is None


def test_what_a_late_worker_left_of_a_run_that_was_completed_is_no_part_of_the_next(tmp_path):
    folder = WorkFolder(f"file://{tmp_path}/a.parts")
    late = folder.of(folder.joined(GIVEN_UP))
    folder.remove()
    late.finish(0, {"out": b"of the run before"}, Done(1, 1, 0, 0))

    assert folder.of(folder.joined(GIVEN_UP)).done(0) is None


def test_whatever_stands_in_the_folder_can_be_given_up(tmp_path):
    folder = WorkFolder(f"file://{tmp_path}/a.parts")
    folder.write("run.json", b"{")
    folder.write("000000.out", b"1")

    assert folder.begun_anew(GIVEN_UP) == folder.plan() == GIVEN_UP
    assert folder.read("000000.out") is None
