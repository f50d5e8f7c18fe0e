"""What gunicorn loads: the app with the settings of this environment."""

import os
import sys

from app import create_app
from mlops import preflight
from mlops.services import build
from utils import logs
from utils.errors import VigiaError
from utils.settings import load

try:
    settings = load(os.environ)
    logs.configure(settings.log_level, settings.log_format)
    preflight.check_values(settings)
    services = build(settings)
    preflight.check_specs(settings, services.specs)
except VigiaError as error:
    sys.exit(f"vigia: {error.detail}")
app = create_app(services)
