"""The table of checks, and where an answer may go: what a reviewer reads at a glance."""

from __future__ import annotations

import re

import pytest
from werkzeug.datastructures import MultiDict

from authsvc.crypto.tokens import Digester
from authsvc.oauth.checks import CHECKS
from authsvc.oauth.client_metadata import ClientMetadata
from authsvc.oauth.clients import Client
from authsvc.oauth.response_mode import Return, granted, return_of

CALLBACK = "https://portal.ims.test/callback?kept=1"
METADATA = ClientMetadata(client_name="x", redirect_uris=(CALLBACK,))
CLIENT = Client("x", None, METADATA, True, None, None, Digester(b"k"))


def test_every_check_names_the_section_it_keeps() -> None:
    """A rule without one is ours, and says where it is explained."""
    for check in CHECKS:
        assert re.match(r"(RFC \d+|OpenID Connect Core|OAuth 2\.0|account \(README)", check.rule), check.rule


def test_a_pushed_request_is_spared_one_check_alone() -> None:
    """Whether it was pushed; everything else is asked before it is kept (RFC 9126 2.1)."""
    assert [check.rule for check in CHECKS if not check.when_pushing] == [
        "RFC 9126 5: require_pushed_authorization_requests"
    ]


@pytest.mark.parametrize(
    ("params", "to"),
    [
        ({"redirect_uri": CALLBACK}, Return(CLIENT, CALLBACK, None, "query")),
        (
            {"redirect_uri": CALLBACK, "state": "s", "response_mode": "form_post"},
            Return(CLIENT, CALLBACK, "s", "form_post"),
        ),
        ({"redirect_uri": CALLBACK, "response_mode": "bogus"}, Return(CLIENT, CALLBACK, None, "query")),
        (
            {"redirect_uri": CALLBACK, "state": "\n", "response_mode": "form_post"},
            Return(CLIENT, CALLBACK, "\n", "query"),
        ),
        ({"redirect_uri": "https://evil.example/"}, None),
        ({}, None),
    ],
    ids=range(6),
)
def test_an_answer_goes_to_a_registered_address_or_nowhere(params: dict[str, str], to: Return | None) -> None:
    """RFC 6749 4.1.2.1."""
    assert return_of(CLIENT, MultiDict(params)) == to
    assert return_of(None, MultiDict(params)) is None


def test_the_registered_query_is_kept() -> None:
    """RFC 6749 3.1.2: "which MUST be retained when adding additional query parameters" (oidcc redirect-uri-query-OK)."""
    answer = granted(Return(CLIENT, CALLBACK, "s", "query"), "https://login.ims.test", "the-code")

    assert answer.location == f"{CALLBACK}&code=the-code&state=s&iss=https%3A%2F%2Flogin.ims.test"
