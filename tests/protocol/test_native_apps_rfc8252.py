"""Apps on a person's machine (RFC 8252): a loopback address on whatever port the system gave, or a scheme of their own."""

from __future__ import annotations

import pytest

from tests.protocol.portal import Portal, body, sent_back
from tests.support.service import Service

LOOPBACK, SCHEME = "http://127.0.0.1/callback", "com.example.app:/callback"


@pytest.fixture
def app(service: Service) -> Portal:
    """A public native client."""
    return Portal.on(service, public=True, application_type="native", redirect_uris=[LOOPBACK, SCHEME])


def test_any_port_of_the_registered_loopback_address_gets_the_code(app: Portal) -> None:
    """Section 7.3; and the token request must name the very address, its port included (RFC 6749 4.1.3)."""
    app.sign_in(redirect_uri=LOOPBACK)
    for address in (LOOPBACK, "http://127.0.0.1:51004/callback", "http://127.0.0.1:8080/callback"):
        code = sent_back(app.ask(redirect_uri=address), to=address)["code"]
        assert app.redeem(code, redirect_uri=address).status_code == 200
    code = sent_back(app.ask(redirect_uri="http://127.0.0.1:51004/callback"), to="http://127.0.0.1:51004/callback")[
        "code"
    ]
    assert body(app.redeem(code, redirect_uri="http://127.0.0.1:51005/callback"))["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "address",
    [
        *("http://127.0.0.1:51004/other", "http://127.0.0.1:51004/callback?x", "http://localhost:51004/callback"),
        *(
            "http://[::1]:51004/callback",
            "https://127.0.0.1:51004/callback",
            "http://127.0.0.1:51004@evil.example/callback",
        ),
        *("http://127.0.0.1:99999/callback", "com.example.app:/other", "com.example.evil:/callback"),
        *("com.example.app://callback", "com.example.app:/callback/../x", "COM.EXAMPLE.APP:/callback"),
    ],
)
def test_az03_nothing_else_of_it_is_free(app: Portal, address: str) -> None:
    """A page, never a redirect."""
    answer = app.ask(redirect_uri=address)
    assert (answer.status_code, "Location" in answer.headers) == (400, False)


def test_the_port_of_a_web_client_is_not_free(service: Service) -> None:
    """A development address of a web client is matched to the letter."""
    portal = Portal.on(service, redirect_uris=[LOOPBACK])
    assert portal.ask(redirect_uri=LOOPBACK).status_code == 303
    assert portal.ask(redirect_uri="http://127.0.0.1:51004/callback").status_code == 400


def test_a_scheme_of_the_apps_own_gets_the_code(app: Portal) -> None:
    """Section 7.1. The pages' policy lets the sign-in end there and nowhere else."""
    page = app.dana.open("/oauth/authorize", **app.request(redirect_uri=SCHEME))
    assert "form-action 'self' com.example.app:;" in page.response.headers["Content-Security-Policy"]
    app.go_on(page)
    code = sent_back(app.ask(redirect_uri=SCHEME), to=SCHEME)["code"]
    assert app.redeem(code, redirect_uri=SCHEME).status_code == 200
