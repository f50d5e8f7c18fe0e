"""What gunicorn loads: the app with the settings of this environment."""

import os

from app import create_app
from mlops.services import build
from utils import logs
from utils.settings import load

settings = load(os.environ)
logs.configure(settings.log_level, settings.log_format)
app = create_app(build(settings))
