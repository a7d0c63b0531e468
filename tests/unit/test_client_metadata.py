"""What a client may say of itself: one model for the file, the commands, the API and dynamic registration."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey
from pydantic import ValidationError

from authsvc.oauth.client_addresses import is_same_redirect
from authsvc.oauth.client_metadata import ClientMetadata

CALLBACK = "https://client.example/callback"
PUBLIC = ECKey.generate_key("P-256", {"kid": "a"})


def read(**given: Any) -> ClientMetadata:
    """A client with these."""
    return ClientMetadata.read({"client_name": "x", "redirect_uris": [CALLBACK], **given})


def refusal(**given: Any) -> str:
    """Where it is refused and why."""
    with pytest.raises(ValidationError) as caught:
        read(**given)
    [error] = caught.value.errors()
    return f"{'.'.join(map(str, error['loc']))}: {error['msg']}"


NOWHERE = [
    # AZ-04
    *("javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "blob:x"),
    *("javascript:/x.y", "about:blank", "mailto:a@b.example", "ftp://client.example/", "ws://client.example/"),
    # fragments, wildcards, user names, control characters, what parsers disagree on
    *(
        f"{CALLBACK}#",
        f"{CALLBACK}#f",
        "https://*.client.example/",
        "https://client.example/*",
        "https://u@client.example/",
    ),
    *("https://u:p@client.example/", "https://@client.example/", "https://client.example\\@evil.example/", "https://"),
    *("https:///client.example/", "https:client.example", "//client.example/", "/callback", "callback", "", " ", "\0"),
    *(
        f"{CALLBACK} ",
        f" {CALLBACK}",
        f"{CALLBACK}\n",
        "https://cli\tent.example/",
        f"{CALLBACK}\r\nX: y",
        f'{CALLBACK}"',
    ),
    *(
        "https://client.example:0/",
        "https://client.example:99999/",
        "https://client.example:/",
        "https://client.example:x/",
    ),
    *(
        "https://clıent.example/",
        "https://client.example/é",
        "https://[::1",
        "https://client..example@/",
        "https://.x/",
    ),
    *("http://client.example/callback", "http://127.0.0.1.evil.example/", "http://localhost.evil.example/"),
    *(
        "http://localhost@evil.example/",
        "https://" + "x" * 2000,
        "\ud800",
        "https://client.example/<script>",
        "https://a^b/",
    ),
]


@pytest.mark.parametrize("address", NOWHERE)
@pytest.mark.parametrize("application_type", ["web", "native"])
def test_az04_an_address_that_is_not_plain_https_is_refused(address: str, application_type: str) -> None:
    """RFC 9700 4.1.3 and OpenID conformance (redirect-uri-regfrag): for every kind of client, and in words."""
    said = refusal(redirect_uris=[address], application_type=application_type)
    assert said.startswith("redirect_uris.0: Value error, must be an https address")


@pytest.mark.parametrize("address", NOWHERE)
@pytest.mark.parametrize("field", ["logo_uri", "client_uri", "policy_uri", "tos_uri", "initiate_login_uri"])
def test_tn15_what_browsers_are_shown_is_https(field: str, address: str) -> None:
    """Its logo, its links, and where it wants logins to begin (conformance: 3rd_party-init-login-nohttps)."""
    assert refusal(**{field: address}).startswith(f"{field}: Value error, must be an https address")
    assert refusal(**{field: "http://127.0.0.1/"}).startswith(field)


@pytest.mark.parametrize("field", ["jwks_uri", "sector_identifier_uri", "backchannel_logout_uri"])
def test_what_we_fetch_has_no_fragment_and_is_https(field: str) -> None:
    """Back-Channel Logout 2.2: the URI "MUST NOT include a fragment component"."""
    for address in (f"{CALLBACK}#f", "http://client.example/", "gopher://client.example/", "javascript:alert(1)"):
        assert refusal(**{field: address}).startswith(field)


@pytest.mark.parametrize(
    "address",
    ["com.example.app:/callback", "com.example.app:/a?b=c", "org.w3-c.x:/", "http://127.0.0.1/cb", "http://[::1]:5/cb"],
)
def test_a_native_app_may_have_a_scheme_and_a_loopback_address_of_its_own(address: str) -> None:
    """RFC 8252 7.1 to 7.3."""
    assert read(redirect_uris=[address], application_type="native").redirect_uris == (address,)


@pytest.mark.parametrize(
    "address", ["myapp:/cb", "com.example.app:cb", "com.example.app://cb/x", "com.example.app:/x#f", "Com.Example:/x"]
)
def test_a_scheme_of_an_app_is_a_domain_backwards_with_one_slash(address: str) -> None:
    """RFC 8252 7.1: "apps MUST use a URI scheme based on a domain name under their control, expressed in reverse order"."""
    refusal(redirect_uris=[address], application_type="native")


def test_a_web_client_has_no_scheme_of_an_app() -> None:
    """OpenID Connect Registration 2, application_type; the order of the fields does not matter."""
    said = refusal(redirect_uris=["com.example.app:/cb"])
    assert said == "redirect_uris.0: Value error, has the scheme of an app; register application_type native"


def test_the_port_of_a_native_loopback_address_is_free_and_nothing_else() -> None:
    """RFC 8252 7.3: "The authorization server MUST allow any port to be specified at the time of the request for loopback IP
    redirect URIs". 8.3: not for localhost, which may lead elsewhere.
    """
    registered = "http://127.0.0.1/cb?a=b"
    for port in ("", ":1", ":51004", ":65535"):
        assert is_same_redirect(registered, f"http://127.0.0.1{port}/cb?a=b", "native")
    assert is_same_redirect("http://[::1]:4000/cb", "http://[::1]:5000/cb", "native")
    for sent in (
        *(
            "http://127.0.0.1:5/cb",
            "http://127.0.0.1:5/cb?a=b&c",
            "http://127.0.0.1:5/cb?a=b#f",
            "http://127.0.0.1:0/cb?a=b",
        ),
        *(
            "http://127.0.0.1:65536/cb?a=b",
            "http://127.0.0.1:/cb?a=b",
            "http://127.0.0.2:5/cb?a=b",
            "http://[::1]:5/cb?a=b",
        ),
        *("http://127.0.0.1:5@evil.example/cb?a=b", "https://127.0.0.1:5/cb?a=b", "http://127.0.0.1:5:6/cb?a=b"),
        *("http://127.0.0.1:٥/cb?a=b", "http://127.0.0.1.evil.example/cb?a=b", "http://localhost:5/cb?a=b", ""),
    ):
        assert not is_same_redirect(registered, sent, "native"), sent
    assert not is_same_redirect("http://localhost/cb", "http://localhost:5/cb", "native")
    assert not is_same_redirect("http://127.0.0.1/cb", "http://127.0.0.1:5/cb", "web")
    assert not is_same_redirect(CALLBACK, CALLBACK.replace("/callback", ":444/callback"), "native")


@given(st.text(st.characters(), max_size=80))
def test_no_text_whatever_crashes_the_rules(text: str) -> None:
    """It is one of ours or it is refused."""
    for application_type in ("web", "native"):
        for address in (text, f"https://{text}", f"com.example:/{text}", f"http://127.0.0.1:{text}"):
            is_same_redirect("http://127.0.0.1/", address, application_type)
            with suppress(ValidationError):
                assert read(redirect_uris=[address], application_type=application_type).redirect_uris == (address,)


def test_keys_that_are_registered_are_public() -> None:
    """Never `d`, never oct, never a set and an address."""
    assert read(jwks={"keys": [PUBLIC.as_dict(private=False)]}).jwks is not None
    assert "private or a symmetric key" in refusal(jwks={"keys": [PUBLIC.as_dict(private=True)]})
    assert "private or a symmetric key" in refusal(jwks={"keys": [OctKey.generate_key(256).as_dict()]})
    both = {"jwks": {"keys": [PUBLIC.as_dict(private=False)]}, "jwks_uri": "https://client.example/jwks"}
    assert "has both jwks and jwks_uri" in refusal(**both)


def test_texts_can_be_shown_and_lists_end() -> None:
    """PL-06: a name goes into pages, a NUL into PostgreSQL."""
    for value in ("\0", "a\nb", "\ud800", "\x1b[31m", "x" * 201, ""):
        assert refusal(client_name=value).startswith("client_name")
        assert refusal(software_id=value).startswith("software_id")
    assert refusal(redirect_uris=[f"{CALLBACK}{n}" for n in range(51)]).startswith("redirect_uris")
    assert refusal(contacts=["a@b.example"] * 21).startswith("contacts")
    assert refusal(default_acr_values=["x"] * 11).startswith("default_acr_values")
    assert refusal(scope="a " * 2000 + "b").startswith("scope")


def test_pairwise_over_several_hosts_needs_a_document_that_joins_them() -> None:
    """OpenID Connect Core 8.1."""
    several = [CALLBACK, "https://other.example/callback"]
    assert "needs a sector_identifier_uri" in refusal(redirect_uris=several, subject_type="pairwise")
    assert read(redirect_uris=[CALLBACK, f"{CALLBACK}/two"], subject_type="pairwise").subject_type == "pairwise"
    joined = "https://client.example/sector.json"
    assert read(redirect_uris=several, subject_type="pairwise", sector_identifier_uri=joined).sector_identifier_uri
