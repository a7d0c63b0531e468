"""Why a request may not pass, and what to answer.

TokenError
├── MissingToken                  401  no token came with the request
├── InvalidRequest                400  the token came by a way that is not allowed
├── InvalidToken                  401  not a token for this API, or no longer
├── InsufficientAuthentication    401  a good token, but the person must prove more or again (RFC 9470)
├── InsufficientScope             403  the client was not granted the scope
├── InsufficientPrivilege         403  the person has not the account or the entitlement
└── IssuerUnavailable             503  the issuer is out of reach: the token was not judged
    └── KeysUnavailable           503  its keys are
"""

from __future__ import annotations

from typing import ClassVar


def _quoted(value: str) -> str:
    """`value` as a quoted-string (RFC 9110 5.6.4). Anything but printable ASCII becomes `?`: no header can be split."""
    printable = "".join(char if " " <= char <= "~" else "?" for char in value)
    return '"' + printable.replace("\\", "\\\\").replace('"', '\\"') + '"'


class TokenError(Exception):
    """The access token does not let this request pass.

    `status`: the HTTP status to answer with. `error`: the code for the client (RFC 6750 3.1, RFC 9470 3).
    `description`: a fixed sentence for the client's developer. `reason`: for the log only; it quotes nothing of the
    token.
    """

    status: ClassVar[int] = 401
    error: ClassVar[str] = "invalid_token"
    description: ClassVar[str] = "The access token was refused."

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def challenge(self, realm: str | None = None) -> str:
        """The value of the WWW-Authenticate header (RFC 6750 3). Nothing in it comes from the token."""
        fields = {} if realm is None else {"realm": realm}
        fields |= self._fields()
        return " ".join(["Bearer", ", ".join(f"{name}={_quoted(value)}" for name, value in fields.items())]).rstrip()

    def _fields(self) -> dict[str, str]:
        return {"error": self.error, "error_description": self.description}


class MissingToken(TokenError):
    """No access token came with the request; the challenge names no error (RFC 6750 3.1, last paragraph)."""

    error = "missing_token"
    description = "This API needs an access token in the Authorization header."

    def _fields(self) -> dict[str, str]:
        return {}


class InvalidRequest(TokenError):
    """The token came by a way that is not allowed, such as the query string."""

    status = 400
    error = "invalid_request"
    description = "The access token belongs in the Authorization header and nowhere else."


class InvalidToken(TokenError):
    """The token is malformed, forged, expired, or meant for something else. A new token may pass."""

    description = "The access token is malformed, expired or not meant for this API."


class InsufficientAuthentication(TokenError):
    """The token is good, but this request needs a stronger or a more recent sign-in (RFC 9470).

    `acr_values` and `max_age` (seconds) go into the client's next authorization request as they are; together they ask
    for all that the Requirement wants, so that one trip is enough.
    """

    error = "insufficient_user_authentication"
    description = "A stronger or more recent sign-in is required."

    def __init__(self, reason: str, *, acr_values: tuple[str, ...] = (), max_age: int | None = None) -> None:
        super().__init__(reason)
        self.acr_values = acr_values
        self.max_age = max_age

    def _fields(self) -> dict[str, str]:
        fields = super()._fields()
        if self.acr_values:
            fields["acr_values"] = " ".join(self.acr_values)
        if self.max_age is not None:
            fields["max_age"] = str(self.max_age)
        return fields


class InsufficientScope(TokenError):
    """The client was not granted what this request needs; `scope` is all that it needs (RFC 6750 3.1)."""

    status = 403
    error = "insufficient_scope"
    description = "The access token lacks the scope for this request."

    def __init__(self, reason: str, *, scope: str) -> None:
        super().__init__(reason)
        self.scope = scope

    def _fields(self) -> dict[str, str]:
        return {**super()._fields(), "scope": self.scope}


class InsufficientPrivilege(TokenError):
    """The token is for another account, or the person lacks the entitlement. No new token changes that by itself.

    RFC 6750 has one code for "higher privileges than provided by the access token": `insufficient_scope` with 403. So
    that is the code; but there is no `scope` in the challenge and no kinship with InsufficientScope, because a client
    that asks for more scope and tries again would never get further.
    """

    status = 403
    error = "insufficient_scope"
    description = "The access token does not reach this resource."


class IssuerUnavailable(TokenError):
    """The issuer cannot be asked, so nothing can be said about the token: never a 401, the client keeps its token.

    `retry_after_s`: seconds until it is asked again. A 503 carries no challenge: send Retry-After instead.
    """

    status = 503
    error = "temporarily_unavailable"
    description = "The access token cannot be checked now. Try again shortly."

    def __init__(self, reason: str, *, retry_after_s: int) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s

    def _fields(self) -> dict[str, str]:
        return {}


class KeysUnavailable(IssuerUnavailable):
    """The issuer's keys cannot be had; `retry_after_s`: seconds until they are asked for again."""
