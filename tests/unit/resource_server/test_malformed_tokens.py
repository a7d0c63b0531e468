"""Signed by the issuer, and still no access token for us."""

from __future__ import annotations

from typing import Any

import pytest

from authsvc.resource_server import InvalidToken, TokenVerifier
from tests.unit.resource_server.local_issuer import ABSENT, a_header, a_token, b64, named, signed


@pytest.mark.parametrize("name", ["sub", "client_id", "jti"])
@pytest.mark.parametrize("value", [ABSENT, "", None, 7, ["x"]], ids=named)
def test_a_token_without_its_required_claims_is_refused(verify: TokenVerifier, name: str, value: Any) -> None:
    """iss, exp, aud, sub, client_id, iat and jti are REQUIRED (RFC 9068 2.2)."""
    with pytest.raises(InvalidToken, match=name):
        verify(a_token(**{name: value}))


@pytest.mark.parametrize("payload", [b"", b"[]", b'"at"', b"\xff\xfe", b"{", b"null"], ids=named)
def test_a_payload_that_is_no_json_object_is_refused(verify: TokenVerifier, payload: bytes) -> None:
    """A claims set is a JSON object (RFC 7519 7.2)."""
    with pytest.raises(InvalidToken, match="payload"):
        verify(signed(a_header(), payload))


@pytest.mark.parametrize(
    "header", [b"", b"5", b"null", b'"alg"', b'["alg"]', b'["alg","b64"]', b"{", b"\xff"], ids=named
)
def test_a_header_that_is_no_json_object_is_refused(verify: TokenVerifier, header: bytes) -> None:
    """A JOSE header is a JSON object (RFC 7515 4)."""
    with pytest.raises(InvalidToken):
        verify(f"{b64(header)}.{b64(b'{}')}.AAAA")


def test_a_sender_constrained_token_is_no_bearer_token(verify: TokenVerifier) -> None:
    """A token bound to a key and stolen must not work without the proof (RFC 9449 7.1)."""
    with pytest.raises(InvalidToken, match="sender-constrained"):
        verify(a_token(cnf={"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}))
