"""An account's stylesheet and monogram, and the icon of the whole service."""

from __future__ import annotations

from flask import Blueprint, redirect
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from authsvc.web.context import services
from authsvc.web.page import brand_document

bp = Blueprint("brand", __name__)


@bp.get("/brand/<name>")
def brand(name: str) -> Response:
    """The file, while its address is the present one."""
    s = services()
    slug = name.rpartition("-")[0]
    with s.database.transaction(read_only=True) as tx:
        account = s.account_by_slug(tx, slug)
    document = brand_document(account, f"/brand/{name}") if account else None
    if document is None:
        raise NotFound
    return Response(document.body, headers=list(document.headers))


@bp.get("/favicon.ico")
def icon() -> Response:
    """For browsers that look for one unasked."""
    return redirect(services().assets.url("logo-ims.svg"), 302)
