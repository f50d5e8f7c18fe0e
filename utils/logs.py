"""Log lines for people (text) and machines (JSON, one object a line), to standard error.

The id of the request under way is part of every line that is logged while it runs.
"""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
trace_id: ContextVar[str | None] = ContextVar("trace_id", default=None)

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line; line breaks inside of values are escaped, so a value cannot forge a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a JSON object."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get(),
            "trace_id": trace_id.get(),
            **{key: value for key, value in vars(record).items() if key not in _PLAIN},
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps({k: v for k, v in line.items() if v is not None}, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """A line for a terminal; control characters in messages are made visible."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the first line, without the traceback that may follow."""
        return super().formatMessage(record).replace("\r", "\\r").replace("\n", "\\n")


def _formatter(form: str) -> logging.Formatter:
    return JsonFormatter() if form == "json" else TextFormatter()


def alike(name: str, level: str, form: str) -> dict[str, Any]:
    """Return what ``logging.config.dictConfig`` takes to have a library's logger write lines as ours."""
    own = {"level": level, "handlers": ["own"]}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"own": {"()": lambda: _formatter(form)}},
        "handlers": {"own": {"class": "logging.StreamHandler", "formatter": "own"}},
        "root": own,
        "loggers": {name: own | {"propagate": False}},
    }


def configure(level: str, form: str) -> None:
    """Send the root logger to standard error in ``form`` (``json`` or ``text``) from ``level`` up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(form))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # The scheduler tells each look at the clock.
    logging.getLogger("apscheduler").setLevel(max(logging.WARNING, logging.getLogger().level))
