"""Where metrics go besides our own dashboard: Neptune and MLflow, behind a port, each in its own process.

The rest of the program uses ``Trackers`` only. Importing this package is cheap and pulls in no tracker: the
clients are imported by the child processes, never by the process that serves predictions.
"""

from mlops.tracking.courier import Limits
from mlops.tracking.fanout import Trackers
from mlops.tracking.port import Tracker

__all__ = ["Limits", "Tracker", "Trackers"]
