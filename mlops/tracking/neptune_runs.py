"""Neptune, by its own client 1.14 (the last one), online where a server answers and offline where none does.

Runs in a child process only: importing the client takes seconds. Online, a model's run has a custom id, so
that restarts go on with it. The client knows no custom id offline; ``neptune_disk`` stands in.
"""

import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit

import neptune
from neptune.internal.credentials import Credentials
from neptune.internal.operation_processors import offline_operation_processor
from neptune.types import File

from mlops.tracking import neptune_disk
from mlops.tracking.port import Notify, Param
from mlops.tracking.redaction import redacted

PROBE_S = 3.0
PROBE_AGAIN_S = 600.0
STOP_S = 10.0

# The client's limit; it ignores longer ids and would make a new run at every start.
MAX_CUSTOM_ID = 36


def open_tracker(options: Mapping[str, Any], notify: Notify) -> "NeptuneTracker":
    """Make the tracker; options are ``folder``, ``token`` (none is offline) and ``project``."""
    return NeptuneTracker(Path(options["folder"]), options["token"], options["project"], notify)


@dataclass(slots=True)
class _OpenRun:
    run: neptune.Run
    claim: neptune_disk.Claim | None
    version: str = ""

    @property
    def is_usable(self) -> bool:
        """Offline: false once ``neptune sync`` has taken the folder away."""
        return self.claim is None or self.claim.path.is_dir()

    def stop(self) -> None:
        if self.is_usable:  # else the client would fail at writing to a folder that is gone
            self.run.stop(seconds=STOP_S)
        if self.claim is not None:
            self.claim.release()


class NeptuneTracker:
    """Fills ``mlops.tracking.port.Tracker``.

    Parameters
    ----------
    folder : Path
        ``STATE_DIR/neptune``: all that the client keeps on disk.
    token, project : str or None
        Of a Neptune server; without a token runs are offline.
    notify : callable
        Gets what the operator should know once.
    """

    def __init__(self, folder: Path, token: str | None, project: str | None, notify: Notify) -> None:
        self._folder, self._token, self._project, self._notify = folder, token, project, notify
        self._runs: dict[str, _OpenRun] = {}
        self._is_online = False
        self._probe_at = 0.0
        folder.mkdir(parents=True, exist_ok=True)

    def log_series(self, model: str, version: str, at: datetime, values: Mapping[str, float]) -> None:
        """Append one point to each series; the step is seconds, so the server ignores a repeated point."""
        opened = self._open(model)
        step = float(int(at.timestamp()))
        for name, value in values.items():
            opened.run[name].append(value, step=step, timestamp=at.timestamp())
        if opened.version != version:
            opened.run["version"] = version
            opened.version = version
        opened.run.wait(disk_only=True)

    def log_metrics(self, model: str, version: str, values: Mapping[str, float]) -> None:
        """Set ``versions/VERSION/metrics/NAME``."""
        self._assign(model, f"versions/{version}/metrics", values)

    def log_params(self, model: str, version: str, params: Mapping[str, Param]) -> None:
        """Set ``versions/VERSION/params/NAME``."""
        self._assign(model, f"versions/{version}/params", params)

    def log_files(self, model: str, version: str, files: Mapping[str, Path]) -> None:
        """Copy each file into the run as ``versions/VERSION/files/NAME``."""
        run = self._open(model).run
        for name, path in files.items():
            # By content: a path would be read when the run is synced, long after the file has gone.
            content = File.from_content(path.read_bytes(), extension=path.suffix.lstrip(".") or "bin")
            run[f"versions/{version}/files/{name}"].upload(content)
        run.wait(disk_only=True)

    def close(self) -> None:
        """Give the client up to ten seconds a run to send; the rest stays on disk for ``neptune sync``."""
        while self._runs:
            self._runs.popitem()[1].stop()

    def _assign(self, model: str, place: str, values: Mapping[str, Param]) -> None:
        run = self._open(model).run
        for name, value in values.items():
            run[f"{place}/{name}"] = value
        run.wait(disk_only=True)

    def _open(self, model: str) -> _OpenRun:
        self._look_for_server()
        opened = self._runs.get(model)
        if opened is not None and not opened.is_usable:
            self._runs.pop(model).stop()
            opened = None
        if opened is None:
            opened = self._runs[model] = self._online(model) if self._is_online else self._offline(model)
        return opened

    def _look_for_server(self) -> None:
        if self._token is None or self._is_online or time.monotonic() < self._probe_at:
            return
        self._probe_at = time.monotonic() + PROBE_AGAIN_S
        self._is_online = self._is_answering(self._token)
        if self._is_online:
            self.close()

    def _is_answering(self, token: str) -> bool:
        """Ask for the page that the client would ask for first, since the client itself may wait for ever."""
        try:
            address = Credentials.from_token(token).token_origin_address
        except neptune.exceptions.NeptuneException:
            self._notify(f"NEPTUNE_API_TOKEN cannot be read; {self._instead()}")
            return False
        is_answering = _gets_page(f"{address}/api/backend/swagger.json")
        if not is_answering:
            self._notify(
                f"no answer from {urlsplit(address).hostname}. Neptune's hosted service closed in March 2026 "
                f"and only self-hosted servers answer; {self._instead()}"
            )
        return is_answering

    def _instead(self) -> str:
        return f"writing offline runs to {self._folder} instead (docs/tracking.md)"

    def _online(self, model: str) -> _OpenRun:
        try:
            run = neptune.init_run(
                mode="async",
                api_token=self._token,
                project=self._project,
                custom_run_id=custom_run_id(model),
                **_quiet(model),
            )
        except Exception as error:  # noqa: BLE001  a half-dead server makes the client raise all sorts
            self._is_online = False
            reason = redacted(str(error), [self._token or ""])
            self._notify(f"Neptune refused ({reason}); {self._instead()}")
            return self._offline(model)
        self._hand_over(model, run)
        return _OpenRun(run, None)

    def _hand_over(self, model: str, run: neptune.Run) -> None:
        n_adopted = neptune_disk.adopt(self._folder, model, run._id)
        if n_adopted:
            self._notify(
                f"{model} was tracked offline; `neptune sync --path {self._folder}` adds that to its run"
            )

    def _offline(self, model: str) -> _OpenRun:
        claim = neptune_disk.claim(self._folder, model)
        # The client picks a new folder at every start and has no setting for it.
        vars(offline_operation_processor)["get_container_full_path"] = lambda *_, **__: claim.path
        return _OpenRun(neptune.init_run(mode="offline", **_quiet(model)), claim)


def custom_run_id(model: str) -> str:
    """Return the id of a model's run on the server, at most 36 characters."""
    plain = f"vigia-{model}"
    return plain if len(plain) <= MAX_CUSTOM_ID else neptune_disk.run_id(model)


def _quiet(model: str) -> dict[str, Any]:
    """Switch off what the client collects by itself: sources, git state, console, hardware."""
    return {
        "name": model,
        "description": "Vigía: drift, quality and versions of this model.",
        "tags": ["vigia"],
        "source_files": [],
        "git_ref": False,
        "capture_stdout": False,
        "capture_stderr": False,
        "capture_hardware_metrics": False,
        "capture_traceback": False,
        "fail_on_exception": False,
    }


def _gets_page(url: str) -> bool:
    if urlsplit(url).scheme not in {"http", "https"}:
        return False
    try:
        with urllib.request.urlopen(url, timeout=PROBE_S) as answer:  # noqa: S310  the scheme is checked above
            return bool(answer.status == 200)
    except (URLError, OSError, ValueError):
        return False
