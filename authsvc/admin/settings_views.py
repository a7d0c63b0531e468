"""Admin Settings > Details (ux.md S20)."""

from __future__ import annotations

from authsvc.admin.mfa_views import Place, blueprint
from authsvc.admin.mfa_words import TEAM
from authsvc.admin.navigation import DETAILS, TEAM_MEMBERS, tabs

bp = blueprint(
    "admin_settings",
    Place(
        audience=TEAM,
        url=DETAILS,
        template="admin/details.html",
        tabs_label="Admin Settings",
        tabs=tabs(DETAILS),
        unverified_url=f"{TEAM_MEMBERS}?verified=no",
        people_url=TEAM_MEMBERS,
    ),
)
