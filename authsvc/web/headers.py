"""Headers of every page (ux.md section 4)."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, Response, g

CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'{also}; base-uri 'none'; frame-ancestors 'none'"
)
PAGE = {
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), otp-credentials=(self)",
    "Vary": "Cookie",
}


def origin_of(url: str) -> str:
    """Scheme, host and port of an address; of an app's own scheme (RFC 8252 7.1) the scheme."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:"


def may_end_at(origin: str | None) -> None:
    """Allow this page's form to end, by redirect, at the one registered origin of its sign-in.

    Chromium and Safari apply form-action to redirects after a POST (ux.md 1).
    """
    g.form_action = origin


def install(app: Flask, *, https: bool) -> None:
    """Put the headers on every answer of `app`, errors included."""

    @app.after_request
    def add(response: Response) -> Response:
        for name, value in PAGE.items():
            response.headers.setdefault(name, value)
        origin = g.get("form_action")
        response.headers.setdefault("Content-Security-Policy", CSP.format(also=f" {origin}" if origin else ""))
        if https:
            response.headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
        return response
