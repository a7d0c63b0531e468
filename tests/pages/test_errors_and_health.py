"""Error pages, probes, headers, brand files: what holds for every page."""

from __future__ import annotations

import pytest
from werkzeug.test import Client

from tests.support.databases import ON_SQLITE
from tests.support.service import ISSUER, Service

pytestmark = ON_SQLITE

BASE = {"base_url": ISSUER}
SECURE_HEADERS = {
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
}


@pytest.mark.parametrize(
    ("path", "status"), [("/sign-in", 200), ("/nothing-here", 404), ("/oauth/authorize", 400), ("/brand/x.css", 404)]
)
def test_every_page_has_the_strict_headers(service: Service, path: str, status: int) -> None:
    """ux.md section 4: headers on every page, error pages included."""
    answer = service.machine().get(path, **BASE)
    assert answer.status_code == status
    for name, value in SECURE_HEADERS.items():
        assert answer.headers[name] == value
    csp = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in csp
    assert "frame-ancestors 'none'" in csp
    assert "unsafe" not in csp


def test_error_pages_quote_the_reference_that_is_in_the_answer(service: Service) -> None:
    """The reference on the page is the request id of the log (ux.md S12)."""
    answer = service.machine().get("/nothing-here", **BASE)
    assert answer.headers["X-Request-Id"] in answer.text
    assert "Page not found" in answer.text


def test_a_wrong_method_is_not_found(service: Service) -> None:
    """405 as 404."""
    assert service.machine().put("/sign-in", **BASE).status_code in (400, 404)
    assert service.machine().delete("/", **BASE).status_code in (400, 404)


def test_pl_02_a_large_form_is_refused(service: Service) -> None:
    """64 KB and no more."""
    person = service.person()
    person.open("/sign-in")
    answer = person.post("/sign-in", {"email": "x" * 100_000})
    assert answer.status_code in (400, 413)


def test_the_database_down_is_503_with_retry_after(service: Service) -> None:
    """Never 401, 404 or a cleared cookie; documents are still served (security.md 4.4)."""
    machine = service.machine()
    machine.get("/.well-known/openid-configuration", **BASE)
    with service.no_database():
        page = machine.get("/sign-in?account=northgate", **BASE)
        token = service.token(grant_type="client_credentials")
        info = machine.get("/oauth/userinfo", headers={"Authorization": "Bearer x.y.z"}, **BASE)
        documents = [machine.get(path, **BASE) for path in ("/oauth/jwks", "/.well-known/openid-configuration")]
    assert page.status_code == 503
    assert page.headers["Retry-After"]
    assert "Set-Cookie" not in page.headers
    assert "Sign-in is briefly unavailable" in page.text
    assert (token.status_code, token.json) == (503, {"error": "temporarily_unavailable"})
    assert info.status_code in (401, 503)
    assert [document.status_code for document in documents] == [200, 200]


def test_brand_files_belong_to_their_account(service: Service) -> None:
    """The present address serves the file; another's or an old one is not found."""
    service.account()
    machine = Client(service.app)
    page = machine.get("/sign-in?account=northgate", **BASE).text
    css = page.split('rel="stylesheet" href="/brand/')[1].split('"')[0]
    answer = machine.get(f"/brand/{css}", **BASE)
    assert (answer.status_code, answer.mimetype) == (200, "text/css")
    assert "immutable" in answer.headers["Cache-Control"]
    logo = machine.get(f"/brand/{css.removesuffix('.css')}.svg", **BASE)
    assert "sandbox" in logo.headers["Content-Security-Policy"]
    assert machine.get("/brand/northgate-000000.css", **BASE).status_code == 404


def test_static_files_are_hashed_and_immutable(service: Service) -> None:
    """Browsers keep them for ever."""
    page = service.machine().get("/sign-in", **BASE).text
    address = page.split('href="/static/auth.')[1].split('"')[0]
    answer = service.machine().get(f"/static/auth.{address}", **BASE)
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert service.machine().get("/favicon.ico", **BASE).status_code == 302
