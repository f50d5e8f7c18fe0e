"""Load by ``wrk``: as many requests as come back, over a number of kept connections, for some seconds.

The Debian package is called wrk. There is no second load generator: one in Python would take more of the two
processors than what it measures.
"""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

SCRIPT = """
local file = io.open("{body}", "rb")
wrk.method, wrk.body = "POST", file:read("*a")
wrk.headers["Content-Type"] = "application/json"
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d %d\\n", summary.requests, summary.duration,
    e.status, e.connect + e.read + e.write + e.timeout, latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True)
class Measured:
    """What came back in one slice of time: numbers of answers and failures, seconds, and milliseconds."""

    n_answers: int
    seconds: float
    n_refused: int
    n_broken: int
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.n_answers / self.seconds


def is_there() -> bool:
    """Tell whether wrk is installed."""
    return shutil.which("wrk") is not None


def run(url: str, body: bytes, n_connections: int, seconds: float) -> Measured:
    """Send ``body`` again and again for at least one second."""
    with tempfile.TemporaryDirectory() as folder:
        content, script = Path(folder, "body"), Path(folder, "script.lua")
        content.write_bytes(body)
        script.write_text(SCRIPT.format(body=content))
        command = ["wrk", "-t1", f"-c{n_connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
        done = subprocess.run([*command, "-s", str(script), url], capture_output=True, text=True, check=True)
    found = re.search(r"^RESULT (.*)$", done.stdout, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"wrk said: {done.stdout}{done.stderr}")
    n_answers, micros, n_refused, n_broken, p50, p99 = map(int, found[1].split())
    return Measured(n_answers, micros / 1e6, n_refused, n_broken, p50 / 1e3, p99 / 1e3)
