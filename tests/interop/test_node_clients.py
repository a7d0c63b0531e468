"""Two certified relying parties of npm, openid-client and oauth4webapi, against the running service."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.interop.conftest import API, CALLBACK, CLIENT_JWK, DONE, METHODS, SCOPE
from tests.support.install import NODE_FOLDER
from tests.support.remote import RemotePerson, Served
from tests.support.service import CLIENT_SECRET, PASSWORD

LIBRARIES = ("openid_client", "oauth4webapi")
each_library = pytest.mark.parametrize("library", LIBRARIES)


class Party:
    """A relying party in a Node process; `ask` puts one wish and answers what came of it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def ask(self, wish: str, **rest: Any) -> dict[str, Any]:
        """Raises: AssertionError with the library's own words."""
        answer = self.try_(wish, **rest)
        assert "error" not in answer, answer
        return answer

    def try_(self, wish: str, **rest: Any) -> dict[str, Any]:
        """What came of it, errors too."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"wish": wish, **rest}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the relying party ended"
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def party(library: str, client_id: str, issuer: str) -> Iterator[Party]:
    """Starts one; it reads discovery first."""
    environment = {
        **os.environ,
        "ISSUER": issuer,
        "CLIENT_ID": client_id,
        "CLIENT_SECRET": CLIENT_SECRET,
        "CLIENT_JWK": CLIENT_JWK,
        "AUTH_METHOD": METHODS[client_id],
        "REDIRECT_URI": CALLBACK,
        "SCOPE": SCOPE,
    }
    command = ["node", f"rp_{library}.mjs"]
    with subprocess.Popen(
        command, cwd=NODE_FOLDER, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            yield Party(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(20)


def sign_in(live: Served, address: str, url: str) -> RemotePerson:
    """Through the real pages, with a code."""
    person, before = RemotePerson(live.issuer), live.messages_to(address)
    person.open(url.removeprefix(live.issuer))
    person.submit(email=address, password=PASSWORD)
    person.submit(code=live.code_for(address, after=before))
    return person


@each_library
@pytest.mark.parametrize("client_id", ["basic", "post", "app", "signer"])
def test_sign_in_refresh_userinfo_logout(
    live: Served, somebody: Callable[[], str], library: str, client_id: str
) -> None:
    """Every way to authenticate, from discovery to being signed out; each library checks iss, state, nonce, hash, signature."""
    address = somebody()
    with party(library, client_id, live.issuer) as rp:
        person = sign_in(live, address, rp.ask("begin", params={"max_age": "600"})["url"])
        done = rp.ask("finish", url=person.left_for, maxAge=600)
        assert (done["claims"]["acr"], done["claims"]["amr"]) == ("urn:ims:acr:two-step", ["pwd", "otp", "mca"])
        sub = done["claims"]["sub"]
        assert rp.ask("userinfo", sub=sub)["userinfo"]["email"] == address
        refreshed = rp.ask("refresh")
        assert (refreshed["rotated"], refreshed["claims"]["sub"]) == (True, sub)
        person.open(rp.ask("logout", to=DONE)["url"].removeprefix(live.issuer))
        assert person.left_for == f"{DONE}?state=bye"
        assert rp.try_("refresh")["error"] == "invalid_grant"


@each_library
@pytest.mark.parametrize("client_id", ["basic", "signer"])
def test_introspection_and_revocation(live: Served, somebody: Callable[[], str], library: str, client_id: str) -> None:
    """RFC 7662 and 7009: active, then revoked, then not active; oauth4webapi asks for RFC 9701's signed answer and checks it."""
    with party(library, client_id, live.issuer) as rp:
        person = sign_in(live, somebody(), rp.ask("begin", params={"resource": API})["url"])
        rp.ask("finish", url=person.left_for)
        assert rp.ask("introspect")["introspection"]["active"] is True
        rp.ask("revoke")
        assert rp.ask("introspect")["introspection"]["active"] is False


@each_library
@pytest.mark.parametrize("via", ["par", "jar"])
def test_pushed_and_signed_requests(live: Served, somebody: Callable[[], str], library: str, via: str) -> None:
    """RFC 9126 and RFC 9101, as these libraries make them; the client signs with its key."""
    with party(library, "signer", live.issuer) as rp:
        person = sign_in(live, somebody(), rp.ask("begin", via=via)["url"])
        assert rp.ask("finish", url=person.left_for)["claims"]["azp"] == "signer"


@each_library
def test_form_post(live: Served, somebody: Callable[[], str], library: str) -> None:
    """OAuth 2.0 Form Post Response Mode: the answer comes as a form, with `iss` and the very state."""
    with party(library, "basic", live.issuer) as rp:
        person = sign_in(live, somebody(), rp.ask("begin", params={"response_mode": "form_post"})["url"])
        form = person.here.forms[0]
        assert form.action == CALLBACK
        assert rp.ask("finish", url=CALLBACK, form=form.fields)["claims"]["azp"] == "basic"


@each_library
def test_a_device_signs_in(live: Served, somebody: Callable[[], str], library: str) -> None:
    """RFC 8628: the code is typed in a browser, the device polls."""
    address = somebody()
    with party(library, "app", live.issuer) as rp:
        device = rp.ask("device")["device"]
        where = device["verification_uri_complete"].removeprefix(live.issuer)
        person, before = RemotePerson(live.issuer), live.messages_to(address)
        person.open(where)
        person.submit(email=address, password=PASSWORD)
        person.submit(code=live.code_for(address, after=before))
        person.submit()
        person.submit(button="decision", value="allow")
        assert person.here.h1 == "Your device is signed in"
        assert rp.ask("poll")["claims"]["acr"] == "urn:ims:acr:two-step"


def test_a_client_registers_itself_and_signs_somebody_in(live: Served, somebody: Callable[[], str]) -> None:
    """RFC 7591 by openid-client: with what it was answered, and nothing else, it gets tokens; the person is asked for consent."""
    token = json.loads(live.run("client", "initial-access-token", "--uses", "1", "--expires", "1h", "--json"))
    metadata = {
        "client_name": "Newcomer",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "client_secret_post",
        "scope": "openid email offline_access",
    }
    with party("openid_client", "basic", live.issuer) as rp:
        made = rp.ask("register", token=token["initial_access_token"], metadata=metadata)["client"]
        person = sign_in(live, somebody(), rp.ask("begin", params={"scope": made["scope"]})["url"])
        assert person.here.h1 == "Allow Newcomer?"
        person.submit(button="choice", value="allow")
        assert rp.ask("finish", url=person.left_for)["claims"]["azp"] == made["client_id"]
        assert rp.ask("refresh")["rotated"]
        spent = rp.try_("register", token=token["initial_access_token"], metadata=metadata)
        assert "error" in spent, "the token was good for one client"


def test_oauth4webapi_validates_our_access_tokens(live: Served, somebody: Callable[[], str]) -> None:
    """RFC 9068 4, by somebody else's code."""
    with party("oauth4webapi", "basic", live.issuer) as rp:
        person = sign_in(live, somebody(), rp.ask("begin", params={"resource": API})["url"])
        done = rp.ask("finish", url=person.left_for)
        claims = rp.ask("resource", audience=API)["claims"]
        assert (claims["sub"], claims["client_id"]) == (done["claims"]["sub"], "basic")


def test_the_libraries_notice_another_issuer(live: Served, somebody: Callable[[], str]) -> None:
    """RFC 9207: with the `iss` of somebody else the answer is refused before the code goes anywhere (security.md AZ mix-up)."""
    with party("oauth4webapi", "basic", live.issuer) as rp:
        person = sign_in(live, somebody(), rp.ask("begin")["url"])
        assert person.left_for is not None
        host = urlsplit(live.issuer).netloc
        mixed = person.left_for.replace(host.replace(":", "%3A"), "evil.example")
        assert mixed != person.left_for
        assert "iss" in rp.try_("finish", url=mixed)["message"]
