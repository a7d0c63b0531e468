"""A form whose sign-in is gone, or that was forged: never a bare 400 (ux.md, rule 6)."""

from __future__ import annotations

from flask import redirect, request
from werkzeug.wrappers import Response

from authsvc.login import journey
from authsvc.web.context import services
from authsvc.web.problems import error_page


def answer(_error: Exception) -> Response:
    """On to where this tab was going if the person has signed in meanwhile (another tab, a double press), else start again."""
    is_sign_in = request.path.startswith("/sign-in") or request.path == "/accounts"
    with services().database.transaction(read_only=True) as tx:
        bound_for = journey.purpose(tx)
        session = journey.signed_in(tx) if is_sign_in else None
    if session is not None:
        return redirect(bound_for.request.continue_to if bound_for.request else bound_for.continue_to or "/", 303)
    if is_sign_in and request.method == "GET":
        return redirect(bound_for.url("login.sign_in"), 303)
    restart = bound_for.url("login.sign_in") if is_sign_in else request.path
    return error_page(400, button=("Start again", restart))
