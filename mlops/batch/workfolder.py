"""What a run has done already: a folder beside the output, on the same file system, until it is complete.

``run.json`` says which run it is. Each part leaves its answers, its refused rows, what is to be logged and,
last of all, ``N.json`` with the counts: only what has one is done. Files appear whole or not at all. They are
in a folder of the attempt: when a run is given up, a worker elsewhere may still be at a part of it.
"""

import posixpath
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import IO, Any

import fsspec
import msgspec

from mlops.batch.places import refuse_metadata
from model.artifact import Manifest
from utils.errors import ConflictError

OUT, BAD, LOG, DONE = "out", "bad", "log", "json"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is. Whoever goes on must be asked for the same.

    Attributes
    ----------
    model, version : str
        Who answers.
    digest : str
        Of the version as it is in the folder.
    is_logged : bool
        Whether answers go to MongoDB.
    redacted : list of str
        What the log does not get to see; see ``mlops.redaction``.
    inputs : list of tuple
        URL, size and change of each file.
    part_bytes : int
        How files are cut.
    id : str
        Of the run; ``request_id`` of what is logged.
    first_id : str
        Prediction id of the first row; the others count up from it.
    refusals_id : str
        Under which refused rows are counted, ``id`` where it is empty.
    attempt : str
        Names the folder of its parts; another one each time a run is begun anew.
    """

    model: str
    version: str
    digest: str
    is_logged: bool
    inputs: list[tuple[str, int, str]]
    part_bytes: int
    id: str
    first_id: str
    redacted: list[str] = []
    refusals_id: str = ""
    attempt: str = ""

    def same_as(self, other: "Plan") -> bool:
        """Tell whether another run would do the same."""
        names = ("model", "version", "is_logged", "redacted", "inputs", "part_bytes")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def after(self, given_up: "Plan") -> "Plan":
        """Return this plan under the ids of one that was given up, as far as it does the same again.

        What that one has logged and counted is so found again, and is there once.
        """
        ids: dict[str, str] = {}
        if all(getattr(self, name) == getattr(given_up, name) for name in ("model", "inputs", "part_bytes")):
            ids["refusals_id"] = given_up.refusals_id or given_up.id
        if self.same_as(given_up):
            ids |= {"id": given_up.id, "first_id": given_up.first_id}
        return msgspec.structs.replace(self, **ids)


class Done(msgspec.Struct, frozen=True):
    """What became of the rows of a part; of a logged run also why rows were refused, and one such fault."""

    n_rows: int
    n_scored: int
    n_refused: int
    n_warned: int
    reasons: dict[str, int] = {}
    sample: dict[str, str] | None = None


class Packed(msgspec.Struct, frozen=True):
    """A version as workers get it; the run verified it."""

    manifest: Manifest
    parts: dict[str, bytes]


@dataclass(frozen=True)
class WorkFolder:
    """The folder of one run, or within it the one of an attempt."""

    url: str

    @cached_property
    def _place(self) -> tuple[Any, str]:
        refuse_metadata(self.url)
        system, path = fsspec.url_to_fs(self.url)
        return system, str(path)

    def __reduce__(self) -> Any:
        return WorkFolder, (self.url,)

    def of(self, plan: Plan) -> "WorkFolder":
        """Return the folder of the parts of this attempt."""
        return WorkFolder(posixpath.join(self.url, plan.attempt))

    def path(self, name: str) -> str:
        """Return where a file is in its file system."""
        return posixpath.join(self._place[1], name)

    def write(self, name: str, content: bytes) -> None:
        """Write a file that is there whole or not at all."""
        system, folder = self._place
        system.makedirs(folder, exist_ok=True)
        partial = self.path(f".{name}.{id(content):x}.part")
        system.pipe_file(partial, content)
        system.mv(partial, self.path(name))

    def read(self, name: str) -> bytes | None:
        """Return a file's content, None if it is not there."""
        system, _ = self._place
        try:
            content: bytes = system.cat_file(self.path(name))
        except FileNotFoundError:
            return None
        return content

    def open(self, name: str) -> IO[bytes]:
        """Open a file for reading."""
        found: IO[bytes] = self._place[0].open(self.path(name), "rb")
        return found

    def forget(self, name: str) -> None:
        """Delete a file."""
        self._place[0].rm_file(self.path(name))

    def remove(self) -> None:
        """Delete the folder; what says that the run is complete goes last."""
        system, folder = self._place
        if system.exists(folder):
            self._clear()
            system.rm(folder, recursive=True)

    def _clear(self) -> None:
        """Delete all but what says which run this is."""
        system, folder = self._place
        for path in system.find(folder):
            if not path.endswith("/run.json"):
                system.rm_file(path)

    def plan(self) -> Plan | None:
        """Return which run this is, None if there is none yet."""
        content = self.read("run.json")
        return None if content is None else msgspec.json.decode(content, type=Plan)

    def joined(self, plan: Plan) -> Plan:
        """Begin a run, or go on with the same one that was interrupted; returns what it is.

        Raises
        ------
        ConflictError
            If what was interrupted is another run.
        """
        known = self.plan()
        if known is None:
            return self._begin(plan)
        if not known.same_as(plan):
            raise ConflictError(
                f"{self.url} is of a run that was interrupted, of another model, options or input."
                " --restart gives it up."
            )
        return known

    def begun_anew(self, plan: Plan) -> Plan:
        """Give up what was interrupted here, whatever it was, and begin; returns what the run is."""
        with suppress(msgspec.MsgspecError):  # no run of this program: nothing of it can be found again
            known = self.plan()
            plan = plan if known is None else plan.after(known)
        return self._begin(plan)

    def _begin(self, plan: Plan) -> Plan:
        self._clear()
        self.write("run.json", msgspec.json.encode(plan))
        return plan

    def done(self, index: int) -> Done | None:
        """Return what became of a part, None if it is not done."""
        content = self.read(f"{index:06d}.{DONE}")
        return None if content is None else msgspec.json.decode(content, type=Done)

    def finish(self, index: int, files: dict[str, bytes], done: Done) -> None:
        """Keep what came of a part."""
        for ending, content in files.items():
            self.write(f"{index:06d}.{ending}", content)
        self.write(f"{index:06d}.{DONE}", msgspec.json.encode(done))

    def parts(self, n_parts: int, ending: str) -> Iterator[IO[bytes]]:
        """Yield what each part left of one kind, opened, in order."""
        return (self.open(f"{index:06d}.{ending}") for index in range(n_parts))
