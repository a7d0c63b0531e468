"""The tabs of My Profile (ux.md S16 to S19)."""

from __future__ import annotations

DETAILS = "/profile"
SECURITY = "/profile/security"

_TABS = (("Details", DETAILS), ("Security", SECURITY))


def tabs(current: str) -> list[tuple[str, str, bool]]:
    """(label, address, whether it is the present one), as layout_app.html wants them."""
    return [(label, url, current == url) for label, url in _TABS]
