"""`/healthz`: the process lives. `/readyz`: it may take traffic, or why not."""

from __future__ import annotations

from flask import Blueprint, jsonify
from werkzeug.wrappers import Response

from authsvc.db import DatabaseUnavailable
from authsvc.web.context import services

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def healthz() -> Response:
    """Always ok: restarting a process does not bring a database back."""
    return jsonify(status="ok")


@bp.get("/readyz")
def readyz() -> tuple[Response, int]:
    """503 with the reasons while the database takes no writes or the key ring cannot be read."""
    s = services()
    problems = []
    try:
        s.database.ping()
    except DatabaseUnavailable as exc:
        problems.append(f"database: {exc.detail or 'unavailable'}")
    if s.ring.problem:
        problems.append(f"keys: {s.ring.problem}")
    return jsonify(ready=not problems, problems=problems), 503 if problems else 200
