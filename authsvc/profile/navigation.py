"""The addresses of My Profile, and its tabs (ux.md S16 to S19)."""

from __future__ import annotations

DETAILS = "/profile"
EMAIL = f"{DETAILS}/email"
EMAIL_CODE = f"{EMAIL}/code"
EMAIL_CANCEL = f"{EMAIL}/cancel"
SECURITY = f"{DETAILS}/security"
PASSWORD = f"{SECURITY}/password"
PHONE = f"{SECURITY}/phone"
PHONE_CODE = f"{PHONE}/code"
PHONE_REMOVE = f"{PHONE}/remove"
APP = f"{SECURITY}/app"
DEVICES = f"{SECURITY}/devices"
SESSIONS = f"{SECURITY}/sessions"
EXPORTS = f"{DETAILS}/exports"
EXPORTS_ROWS = f"{EXPORTS}/rows"
EXPORTS_NEW = f"{EXPORTS}/new"

#: For templates, which link by name: `at.email`.
AT = {name.lower(): address for name, address in list(globals().items()) if name.isupper()}

_TABS = (("Details", DETAILS), ("Security", SECURITY), ("Exports", EXPORTS))


def tabs(current: str) -> list[tuple[str, str, bool]]:
    """(label, address, whether it is the present one), as layout_app.html wants them."""
    return [(label, url, current == url) for label, url in _TABS]
