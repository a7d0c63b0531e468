"""Client authentication: exactly one method, the registered one, and one wording for every failure (RFC 6749 2.3)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from urllib.parse import unquote_plus

from authlib.oauth2.rfc6749 import InvalidClientError, InvalidRequestError
from sqlalchemy.orm import Session

from authsvc.audit import AuditLog, Event
from authsvc.oauth.assertions import METHOD, Assertions, Flawed, Proof, claimed_client
from authsvc.oauth.call import Call
from authsvc.oauth.clients import Client, Registry
from authsvc.throttle import AddressWindows

FAILED = "Client authentication failed."
#: What a replica may say that knows a client as it was some seconds ago.
_PERHAPS_CHANGED = ("unknown_client", "wrong_method", "wrong_secret")
#: The ways of a client that can keep a secret, and of any client: one list for every endpoint (libraries.md 1.5, 4).
CONFIDENTIAL = ("client_secret_basic", "client_secret_post", METHOD)
ANY = (*CONFIDENTIAL, "none")


class TooManyRequests(InvalidClientError):  # type: ignore[misc]  # Authlib is untyped
    """Too fast; the same may be tried again soon."""

    error = "temporarily_unavailable"
    status_code = 429

    def __init__(self, description: str, *, retry_after_s: int) -> None:
        super().__init__(description=description)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class ClientAuthenticator:
    """Says which client calls."""

    registry: Registry
    windows: AddressWindows
    assertions: Assertions
    audit: AuditLog

    def look_at_assertion(self, call: Call) -> None:
        """Read the call's client assertion, if it has one; outside any transaction, for it may fetch the client's keys.

        Whoever failed too often is not worth a fetch.
        """
        if (assertion := call.form.get("client_assertion")) is None:
            return
        client_id = call.form.get("client_id")
        claimed = claimed_client(assertion)
        if not self.windows.has_room("client_auth_failures", f"{call.remote_address} {claimed}"):
            call.assertion = Flawed(claimed, "throttled")
            return
        call.assertion = self.assertions.read(
            assertion, assertion_type=call.form.get("client_assertion_type"), client_id=client_id
        )

    def authenticate(self, tx: Session, call: Call, endpoint: str) -> Client:
        """The authenticated client. Raises: InvalidRequestError for two methods at once; InvalidClientError; TooManyRequests."""
        used_header, client_id, secret = _credentials(call)
        assertion = call.assertion
        if assertion is not None:
            client_id = assertion.client_id
        # The windows may be Redis's: asked before the first statement, so that no transaction is open meanwhile.
        about = f"{call.remote_address} {client_id}"
        if not self.windows.has_room("client_auth_failures", about):
            raise TooManyRequests("Too many failed attempts. Try again in a minute.", retry_after_s=60)
        client = self.registry.client(client_id, tx)
        method = _method(call, used_header=used_header, secret=secret)
        reason = self._flaw(tx, client, method, secret, assertion)
        if reason in _PERHAPS_CHANGED and (changed := self.registry.look_again(client_id, tx)) != client:
            # A new secret does at once, at every replica, not only at the one that issued it.
            client, reason = changed, self._flaw(tx, changed, method, secret, assertion)
        if client is not None and reason is None:
            if endpoint == "token" and not self.windows.admit("token_per_client", client.client_id):
                raise TooManyRequests("This client calls too often. Try again in a second.", retry_after_s=1)
            call.auth_method = method
            return client
        self.windows.admit("client_auth_failures", about)
        self.audit.record(
            tx, Event.CLIENT_REFUSED, client_id=client.client_id if client else None, reason=reason, endpoint=endpoint
        )
        raise _refusal(used_header=used_header)

    def _flaw(
        self, tx: Session, client: Client | None, method: str, secret: str | None, assertion: Proof | Flawed | None
    ) -> str | None:
        """What is wrong with the credentials, for the trail; None when they are right, and an assertion is spent by it."""
        if client is None:
            return "unknown_client"
        if client.auth_method != method:
            return "wrong_method"
        if method == METHOD:
            if not isinstance(assertion, Proof):
                return assertion.reason if assertion else "assertion_unread"
            return None if self.assertions.spend(tx, assertion) else "assertion_replayed"
        return None if method == "none" or client.check_client_secret(secret or "") else "wrong_secret"


def _method(call: Call, *, used_header: bool, secret: str | None) -> str:
    """The method tried, by its registered name. A bad assertion beside the id of a public client is not "no method"."""
    if used_header:
        return "client_secret_basic"
    if "client_assertion" in call.form:
        return METHOD
    return "client_secret_post" if secret is not None else "none"


def _refusal(*, used_header: bool) -> InvalidClientError:
    error = InvalidClientError(description=FAILED, status_code=401)
    error.used_header = used_header
    return error


def _credentials(call: Call) -> tuple[bool, str | None, str | None]:
    """(by header?, client_id, secret). The header's halves are form-urlencoded (RFC 6749 2.3.1)."""
    header = call.headers.get("Authorization", "")
    scheme, _, encoded = header.partition(" ")
    body_id, body_secret = call.form.get("client_id"), call.form.get("client_secret")
    if "client_assertion" in call.form and (body_secret is not None or scheme.lower() == "basic"):
        raise InvalidRequestError("The client used more than one way to authenticate.")
    if scheme.lower() != "basic":
        return False, body_id, body_secret
    if body_secret is not None:
        raise InvalidRequestError("The client used more than one way to authenticate.")
    client_id, _, secret = base64.b64decode(encoded.strip()).decode().partition(":")
    client_id, secret = unquote_plus(client_id), unquote_plus(secret)
    if body_id is not None and body_id != client_id:
        raise InvalidRequestError("The request names two different clients.")
    return True, client_id, secret
