"""Investor Settings > General Settings: the investors' own switch (domain D13, M10-M12)."""

from __future__ import annotations

from authsvc.admin.mfa_views import Place, blueprint
from authsvc.admin.mfa_words import INVESTORS

URL = "/admin/investors"

bp = blueprint(
    "admin_investors",
    Place(
        audience=INVESTORS,
        url=URL,
        template="admin/investors.html",
        tabs_label="Investor Settings",
        tabs=[("General Settings", URL, True)],
    ),
)
