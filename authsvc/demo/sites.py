"""What the small sites share: the look of the hosted pages, strict headers, their own host only, and a quiet server."""

from __future__ import annotations

import signal
import sys
from html import escape
from importlib.resources import files

from flask import Flask, Response, abort, render_template
from jinja2 import StrictUndefined
from werkzeug.exceptions import HTTPException
from werkzeug.serving import WSGIRequestHandler, make_server

from authsvc.demo.places import HOST
from authsvc.web.brand import brand_css, palette
from authsvc.web.client_ip import OwnHost

#: No scripts at all: every page works without them.
CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; "
    "form-action 'self'{also}; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
}
MONOGRAM = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 44 44"><rect width="44" height="44" rx="8" fill="{accent}"/>'
    '<text x="22" y="32" text-anchor="middle" font-family="Arial,Helvetica,sans-serif" font-size="28" font-weight="700"'
    ' fill="{ink}">{letter}</text></svg>'
)


def new_site(name: str, *, url: str, title: str, accent: str, form_action: str = "") -> Flask:
    """A site at `url` and nowhere else. `form_action`: an origin where its forms may end by redirect."""
    site = Flask(f"authsvc.demo.{name}", root_path=str(files("authsvc.demo")), static_folder=None)
    site.jinja_env.undefined = StrictUndefined
    site.jinja_env.globals["site_title"] = title
    # A page elsewhere could point its own name at this machine and read the codes; its Host header gives it away.
    site.wsgi_app = OwnHost(site.wsgi_app, issuer=url)  # type: ignore[method-assign]
    policy = CSP.format(also=f" {form_action}" if form_action else "")
    look = _look(title, accent)

    @site.get("/look/<name>")
    def part(name: str) -> Response:
        if name not in look:
            abort(404)
        mimetype, body = look[name]
        return Response(body, mimetype=mimetype, headers={"Cache-Control": "max-age=60"})

    @site.get("/healthz")
    def health() -> Response:
        return Response("ok\n", mimetype="text/plain")

    @site.errorhandler(HTTPException)
    def problem(error: HTTPException) -> tuple[str, int]:
        found = error.code == 404
        heading = "Page not found" if found else "That did not work"
        return render_template(
            "demo/problem.html", heading=heading, text="Go back to the start and try again."
        ), error.code or 500

    @site.after_request
    def add_headers(response: Response) -> Response:
        for header, value in HEADERS.items():
            response.headers.setdefault(header, value)
        response.headers.setdefault("Content-Security-Policy", policy)
        return response

    return site


def _look(title: str, accent: str) -> dict[str, tuple[str, str]]:
    package = files("authsvc")
    shades = palette(accent).light
    return {
        **{name: ("text/css", (package / "static" / name).read_text()) for name in ("auth.css", "settings.css")},
        "brand.css": ("text/css", brand_css(accent)),
        "demo.css": ("text/css", (package / "demo" / "demo.css").read_text()),
        "logo.svg": (
            "image/svg+xml",
            MONOGRAM.format(letter=escape(title[:1]), accent=shades.accent, ink=shades.on_accent),
        ),
    }


class _Quiet(WSGIRequestHandler):
    """No line for each request: the terminal belongs to the addresses and the password."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Says nothing."""


def serve(site: Flask, port: int) -> None:
    """Serve until told to stop."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    make_server(HOST, port, site, threaded=True, request_handler=_Quiet).serve_forever()
