"""The tabs of Admin Settings (ux.md S20, S21, S24)."""

from __future__ import annotations

DETAILS = "/admin/settings"
TEAM_MEMBERS = "/admin/team"
ACTIVITY = "/admin/activity"

_TABS = (("Details", DETAILS), ("Team Members", TEAM_MEMBERS), ("Sign-in activity", ACTIVITY))


def tabs(current: str) -> list[tuple[str, str, bool]]:
    """(label, address, whether it is the present one), as layout_app.html wants them. `current`: an address or a label."""
    return [(label, url, current in (label, url)) for label, url in _TABS]
