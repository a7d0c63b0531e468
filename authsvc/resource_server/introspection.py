"""Asks the issuer about each token (RFC 7662), for what must not wait until a token has expired.

A TokenVerifier asks nobody, so what was revoked is believed until the token ends, five minutes at most. This one costs a
call for each request and knows at once: of ended sessions, of people who left, and whether a remembered device still is.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import ceil
from threading import Lock
from urllib.parse import quote_plus, urlencode

import urllib3
from urllib3.exceptions import ProtocolError

from authsvc.resource_server.claims import (
    PASSWORD,
    REMEMBERED,
    Claims,
    Requirement,
    check_addressee,
    check_times,
    read_claims,
)
from authsvc.resource_server.errors import InvalidToken, IssuerUnavailable
from authsvc.resource_server.fetching import Fetch, discover, http_get, json_object, origin_of, read_body
from authsvc.resource_server.verifier import ANYTHING, is_short_text

log = logging.getLogger(__name__)

#: Address, headers and body in; status, headers and body out. Raises anything when there was no answer.
Post = Callable[[str, Mapping[str, str], bytes], tuple[int, Mapping[str, str], bytes]]

CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 3.0
#: So many calls in a row without an answer, and none is made for PAUSE_S: requests that wait for nothing pile up.
FAILURES_BEFORE_PAUSE = 3
PAUSE_S = 5
#: Seconds that an issuer may ask for by Retry-After: patience, not silence.
LONGEST_PAUSE_S = 10
#: Connections kept to the issuer.
MOST_KEPT = 32
#: A compact JWS, as our access tokens are: what cannot be one is refused without a call.
_JWS = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)


class HttpPost:
    """POST over kept connections. Safe for threads, and after a fork: a connection belongs to one process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pool: tuple[int, urllib3.PoolManager] | None = None

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """The answer, whatever its status; redirects are not followed, larger bodies refused.

        Raises: urllib3.exceptions.HTTPError, ValueError.
        """
        try:
            return self._post(url, headers, body)
        except ProtocolError:
            # A kept connection that the other side has just closed. Asking changes nothing, so it may be asked again.
            return self._post(url, headers, body)

    def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        response = self._manager().request(
            "POST",
            url,
            headers=headers,
            body=body,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=ANSWER_TIMEOUT_S),
            redirect=False,
            retries=False,
            preload_content=False,
            decode_content=False,
        )
        try:
            found = read_body(response, deadline=time.monotonic() + ANSWER_TIMEOUT_S)
        except BaseException:
            # The rest of this answer must never be read as the next one.
            response.close()
            raise
        response.release_conn()
        return response.status, response.headers, found

    def _manager(self) -> urllib3.PoolManager:
        with self._lock:
            if self._pool is None or self._pool[0] != os.getpid():
                self._pool = os.getpid(), urllib3.PoolManager(maxsize=MOST_KEPT)
            return self._pool[1]


class IntrospectionVerifier:
    """Call it as a TokenVerifier, with the same Claims and the same errors. Safe for threads; make one and keep it.

    Two things differ. `claims.remembered_device` is gone as soon as the device has ended, and a sign-in that rests on it
    alone then counts as `password`; `claims.raw` still has the `acr` of the token. And `mfa_amr` says how the step was
    passed that the device remembers.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str,
        audience: str,
        *,
        leeway_s: int = 60,
        fetch: Fetch | None = None,
        post: Post | None = None,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`client_id`, `client_secret`: of a confidential client that is registered for a scope of `audience`
        (client_secret_basic). `fetch`, `post`: for tests, and for services behind a proxy; they must follow no redirect
        and give up by themselves. The rest is as in TokenVerifier. Nothing is asked here.

        Raises: ValueError for an issuer that is no https URL (http: on this machine only), or an empty argument.
        """
        if not (client_id and client_secret and audience):
            raise ValueError("client_id, client_secret and audience are needed")
        origin_of(issuer)
        self._issuer = issuer
        self._audience = audience
        self._leeway_s = leeway_s
        self._fetch = fetch or http_get
        self._post = post or HttpPost()
        self._now = now
        self._monotonic = monotonic
        # RFC 6749 2.3.1: each half is form-urlencoded first.
        credentials = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
        self._headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
            **urllib3.make_headers(basic_auth=credentials),
        }
        self._endpoint: str | None = None
        self._lock = Lock()
        self._failures = 0
        self._paused_until = monotonic()

    def __call__(self, token: str, requirement: Requirement = ANYTHING) -> Claims:
        """What the issuer says of `token` now, if it is active, for this audience, and meets `requirement`.

        Raises: InvalidToken, InsufficientScope, InsufficientPrivilege, InsufficientAuthentication, IssuerUnavailable;
        all of them TokenError. An issuer that cannot be asked never makes a token invalid.
        """
        if not is_short_text(token) or not _JWS.fullmatch(token):
            raise InvalidToken("no compact JWS, or too long")
        claims = self._read(self._ask(token))
        now = self._now()
        check_times(claims, now=now, leeway_s=self._leeway_s)
        requirement.check(claims, now=now, leeway_s=self._leeway_s)
        return claims

    def at_once(self, token: str, requirement: Requirement = ANYTHING) -> Claims | None:
        """None: the issuer is asked each time, so call from a thread."""
        return None

    def _read(self, body: bytes) -> Claims:
        try:
            said = json_object(body)
        except ValueError as error:
            raise self._failed("the introspection answer is no JSON object") from error
        active = said.get("active")
        if active is False:
            raise InvalidToken("not active")
        if active is not True:
            raise self._failed("the introspection answer does not say whether the token is active")
        # A refresh token is active too, and opens nothing (security.md TK-07).
        if str(said.get("token_type")).lower() != "bearer":
            raise InvalidToken("no bearer access token")
        check_addressee(said, issuer=self._issuer, audience=self._audience)
        claims = read_claims(said, payload=body)
        if claims.acr == REMEMBERED and "remembered_device" not in said:
            return replace(claims, acr=PASSWORD)
        return claims

    def _ask(self, token: str) -> bytes:
        """The body of the issuer's 200. Raises: IssuerUnavailable."""
        with self._lock:
            wait_s = self._paused_until - self._monotonic()
        if wait_s > 0:
            raise IssuerUnavailable("the issuer did not answer a moment ago", retry_after_s=ceil(wait_s))
        form = urlencode({"token": token, "token_type_hint": "access_token"}).encode()
        try:
            if self._endpoint is None:
                self._endpoint = discover(self._issuer, "introspection_endpoint", fetch=self._fetch)
            status, headers, body = self._post(self._endpoint, self._headers, form)
        except Exception as error:  # whatever an attempt raises, the token was not judged
            raise self._failed(f"no answer: {error!r}") from error
        if status == 200:
            with self._lock:
                self._failures = 0
            return body
        if status in (400, 401, 403):
            log.error(
                "%s refuses this service's own client (HTTP %d): check its secret and scope", self._issuer, status
            )
        raise self._failed(f"HTTP status {status}", retry_after=_retry_after_s(headers))

    def _failed(self, reason: str, *, retry_after: int | None = None) -> IssuerUnavailable:
        with self._lock:
            self._failures += 1
            # Looked for again at the next try, in case it has moved.
            self._endpoint = None
            pause_s = retry_after or (PAUSE_S if self._failures >= FAILURES_BEFORE_PAUSE else 0)
            if pause_s:
                self._failures = 0
                self._paused_until = self._monotonic() + pause_s
        log.warning("Tokens of %s cannot be judged: %s", self._issuer, reason)
        return IssuerUnavailable(reason, retry_after_s=pause_s or 1)


def _retry_after_s(headers: Mapping[str, str]) -> int | None:
    value = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return min(max(int(value), 1), LONGEST_PAUSE_S) if re.fullmatch(r"[0-9]{1,9}", value) else None
