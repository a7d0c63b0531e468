"""What gunicorn loads."""

from __future__ import annotations

from authsvc import logs
from authsvc.app import create_app
from authsvc.services import build
from authsvc.settings import Settings

settings = Settings.read()
logs.configure(settings.log_level)
services = build(settings)
application = create_app(services)
