"""The gunicorn of the baselines: two processes of four threads, connections kept."""

import os

bind = f"127.0.0.1:{os.environ['PORT']}"
workers = 2
worker_class = "gthread"
threads = 4
keepalive = 75
loglevel = "warning"
