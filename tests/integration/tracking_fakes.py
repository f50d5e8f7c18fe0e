"""Trackers that misbehave, for the child process. They fill the port where a real client would."""

import os
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any


class Diary:
    """Writes the values it gets to a file, one line a call."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.path = Path(options["folder"]) / "diary"

    def log_series(self, model: str, version: str, at: datetime, values: Mapping[str, float]) -> None:
        self._write(f"{model} {version} {at.isoformat()} {dict(values)}")

    def log_params(self, model: str, version: str, params: Mapping[str, object]) -> None:
        self._write(f"{params} {sorted(k for k in os.environ if k in ('MONGO_URI', 'API_KEYS'))}")

    def close(self) -> None:
        self._write("closed")

    def _write(self, text: str) -> None:
        with self.path.open("a") as diary:
            diary.write(f"{text}\n")


class Hanging(Diary):
    """Never comes back, not even from closing, and keeps a thread that is no daemon."""

    def log_series(self, model: str, version: str, at: datetime, values: Mapping[str, float]) -> None:
        threading.Thread(target=time.sleep, args=(3600,)).start()
        self._write("hanging")
        time.sleep(3600)

    def close(self) -> None:
        time.sleep(3600)


class Raising(Diary):
    def log_series(self, model: str, version: str, at: datetime, values: Mapping[str, float]) -> None:
        raise ConnectionError(f"no way with token s3cret to {model}")


class Dying(Diary):
    """Dies in the first call of all processes; later ones work."""

    def log_series(self, model: str, version: str, at: datetime, values: Mapping[str, float]) -> None:
        flag = self.path.with_name("died")
        if not flag.exists():
            flag.touch()
            os._exit(3)
        super().log_series(model, version, at, values)


def diary(options: Mapping[str, Any], notify: object) -> Diary:
    return Diary(options)


def hanging(options: Mapping[str, Any], notify: object) -> Hanging:
    return Hanging(options)


def raising(options: Mapping[str, Any], notify: object) -> Raising:
    return Raising(options)


def dying(options: Mapping[str, Any], notify: object) -> Dying:
    return Dying(options)


def unopenable(options: Mapping[str, Any], notify: object) -> Diary:
    raise ImportError("this client is not installed")
