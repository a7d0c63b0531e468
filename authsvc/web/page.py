"""What every page knows about itself: whose it is and where its parts are."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Protocol

from authsvc.web.assets import Assets
from authsvc.web.brand import brand_css, brand_path, palette
from authsvc.web.front import Document
from authsvc.web.text import host_of

HELP_URL = "https://help.imscre.net/"
PRIVACY_URL = "https://help.imscre.net/terms-and-privacy"
SUPPORT_EMAIL = "support@imscre.com"
NEUTRAL_ACCENT = "#1b4e6b"


class Branded(Protocol):
    """What a page takes from an account."""

    @property
    def slug(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def short_name(self) -> str: ...
    @property
    def portal_url(self) -> str: ...
    @property
    def accent(self) -> str | None: ...


@dataclass(frozen=True)
class Page:
    """The context variable `page` of the templates."""

    account_name: str
    account_short: str
    portal_host: str | None
    brand_css: str | None
    logo_url: str
    help_url: str = HELP_URL
    privacy_url: str = PRIVACY_URL


def page_for(account: Branded | None, assets: Assets) -> Page:
    """The account's own look, or the neutral one of IMS."""
    if account is None:
        return Page("IMS", "IMS", None, None, assets.url("logo-ims.svg"))
    accent = account.accent or NEUTRAL_ACCENT
    css = brand_path(account.slug, accent)
    return Page(account.name, account.short_name, host_of(account.portal_url), css, css.removesuffix(".css") + ".svg")


def brand_document(account: Branded, path: str) -> Document | None:
    """The stylesheet or the monogram at `path`, for this account; None when the address is another's or outdated."""
    accent = account.accent or NEUTRAL_ACCENT
    css = brand_path(account.slug, accent)
    if path == css:
        return Document.of(
            brand_css(accent).encode(), mimetype="text/css", cache_control="public, max-age=31536000, immutable"
        )
    if path == css.removesuffix(".css") + ".svg":
        svg = _MONOGRAM.format(letter=escape(account.name[:1].upper()), accent=palette(accent).light.accent_ink)
        sandbox = ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
        return Document.of(
            svg.encode(), mimetype="image/svg+xml", cache_control="public, max-age=86400", extra=[sandbox]
        )
    return None


_MONOGRAM = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 44 44"><rect width="44" height="44" rx="8" fill="#fff"/>'
    '<text x="22" y="32" text-anchor="middle" font-family="Arial,Helvetica,sans-serif" font-size="28" font-weight="700"'
    ' fill="{accent}">{letter}</text></svg>'
)
