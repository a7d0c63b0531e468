"""Two short cuts: a header seen before is not parsed again, and an event loop is never made to wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Event, Thread

import pytest
from joserfc.jwk import ECKey

from authsvc.resource_server import InvalidToken, KeysUnavailable, Requirement, TokenVerifier
from authsvc.resource_server.verifier import MOST_HEADERS
from tests.unit.resource_server.local_issuer import (
    ES256,
    LocalIssuer,
    Time,
    a_header,
    a_token,
    b64,
    signed,
    some_claims,
)


def test_a_known_header_vouches_for_nothing(verify: TokenVerifier) -> None:
    """The signature is checked, and the form is still a compact JWS, whatever header came before."""
    header, payload, signature = a_token().split(".")
    verify(f"{header}.{payload}.{signature}")
    other = b64(b'{"iss":"https://login.ims.example"}')
    for token in (
        f"{header}.{other}.{signature}",
        f"{header}.{payload}.{signature}.{signature}",
        f"{header}.{payload}..{signature}",
        f"{header}.{payload}.",
        f"{header}.{payload}.{signature}=",
        f"{header}.{payload}=.{signature}",
        f"{header}..{signature}",
        f"{header}.{payload}",
        header,
        f"{header}.",
    ):
        with pytest.raises(InvalidToken):
            verify(token)


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b"\xff"], ids=repr)
def test_a_known_header_before_no_claims(verify: TokenVerifier, payload: bytes) -> None:
    """Signed by the issuer, and still no claims set."""
    verify(a_token())
    with pytest.raises(InvalidToken, match="payload"):
        verify(signed(a_header(), payload))


def test_a_known_header_dies_with_its_key(issuer: LocalIssuer, verify: TokenVerifier, time: Time) -> None:
    """The key of that name was replaced: new tokens of the old one are forgeries from then on."""
    verify(a_token())
    impostor = ECKey.generate_key("P-256", {"kid": ES256.kid, "alg": "ES256", "use": "sig"})
    with pytest.raises(InvalidToken, match="signature"):
        verify(signed(a_header(), some_claims(jti="2"), impostor))
    issuer.keys = [impostor.as_dict(private=False)]
    time.advance(300)
    verify(signed(a_header(), some_claims(jti="3", exp=some_claims()["exp"] + 600), impostor))
    with pytest.raises(InvalidToken, match="signature"):
        verify(a_token(jti="4"))


def test_headers_do_not_pile_up(verify: TokenVerifier) -> None:
    """Only those of good tokens are kept, and not many."""
    stranger = ECKey.generate_key("P-256", {"alg": "ES256"})
    for number in range(2 * MOST_HEADERS):
        verify(signed(a_header(number=number), some_claims(jti=str(number))))
        with pytest.raises(InvalidToken):
            verify(signed(a_header(forged=number), some_claims(), stranger))
    assert len(verify._headers) <= MOST_HEADERS


def test_at_once_waits_for_no_fetch(issuer: LocalIssuer, verify: TokenVerifier, time: Time) -> None:
    """None before there are keys, and for a key id that must be asked for; otherwise the verdict."""
    assert verify.at_once(a_token()) is None
    assert issuer.asked == []
    verify.prefetch()
    token = a_token()
    assert verify.at_once(token) is verify(token)
    with pytest.raises(InvalidToken, match="kid"):
        verify.at_once(signed(a_header(kid="new"), some_claims()))
    time.advance(30)
    assert verify.at_once(signed(a_header(kid="new"), some_claims())) is None
    assert issuer.key_fetches() == 1


def test_at_once_looks_at_everything_else(verify: TokenVerifier) -> None:
    """The same refusals as a call."""
    verify.prefetch()
    with pytest.raises(InvalidToken):
        verify.at_once("abc")
    with pytest.raises(Exception, match="scope"):
        verify.at_once(a_token(), Requirement(scope="investors.write"))


def test_at_once_says_none_while_a_fetch_is_in_flight() -> None:
    """Somebody else's fetch is waited for in a thread too."""
    issuer, time = LocalIssuer(), Time()
    begun, goes_on = Event(), Event()

    def fetch(url: str) -> tuple[bytes, Mapping[str, str]]:
        begun.set()
        assert goes_on.wait(10)
        return issuer.fetch(url)

    verify = TokenVerifier("https://login.ims.example", "https://api.ims.example/investors", fetch=fetch, now=time.now)
    thread = Thread(target=verify.prefetch)
    thread.start()
    assert begun.wait(10)
    assert verify.at_once(a_token()) is None
    goes_on.set()
    thread.join(10)
    assert verify.at_once(a_token())


def test_at_once_is_503_while_the_issuer_is_away(issuer: LocalIssuer, verify: TokenVerifier) -> None:
    """In the cool-down there is nothing to wait for."""
    issuer.down = True
    with pytest.raises(KeysUnavailable):
        verify(a_token())
    with pytest.raises(KeysUnavailable):
        verify.at_once(a_token())


def test_at_once_takes_old_keys_while_they_are_refreshed(
    issuer: LocalIssuer, verify: TokenVerifier, time: Time
) -> None:
    """Refresh ahead runs beside; the keys are good until then."""
    verify.prefetch()
    ran: list[Callable[[], None]] = []
    verify._keys._background = ran.append
    time.advance(250)
    assert verify.at_once(a_token())
    assert len(ran) == 1
    ran[0]()
    assert issuer.key_fetches() == 2
