"""`/healthz`: the process lives. `/readyz`: it may take traffic, or why not."""

from __future__ import annotations

import json

from flask import Blueprint, jsonify
from werkzeug.wrappers import Response

from authsvc.web import readiness
from authsvc.web.api_problems import MEDIA_TYPE, PREFIX, RETRY_AFTER_S
from authsvc.web.context import services

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def healthz() -> Response:
    """Always ok: restarting a process does not bring a database back."""
    return jsonify(status="ok")


@bp.get("/readyz")
def readyz() -> Response:
    """200, or 503 with one line for each reason (RFC 9457). Redis is none: everything goes on without it."""
    problems = [str(problem) for problem in readiness.problems(services())]
    if not problems:
        return jsonify(ready=True, problems=[])
    body = {"type": PREFIX + "not-ready", "title": "Not ready", "status": 503, "ready": False, "problems": problems}
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return Response(json.dumps(body, indent=1) + "\n", 503, headers, mimetype=MEDIA_TYPE)
