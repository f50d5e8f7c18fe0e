"""One model, pure: no database, no web, no clock."""

import os

# ONNX Runtime's wheels report usage to their maker, from a thread that does not survive a fork. It is asked
# not to here, since everything that imports it is in this room. Whoever wants it says so in the environment.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
