"""The device code grant (RFC 8628 3.4): the device asks whether somebody has let it in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749 import AccessDeniedError, InvalidGrantError
from authlib.oauth2.rfc8628 import AuthorizationPendingError, ExpiredTokenError, SlowDownError
from authlib.oauth2.rfc8628 import DeviceCodeGrant as Authlibs

from authsvc.oauth.client_auth import ANY
from authsvc.oauth.device.codes import Waiting
from authsvc.oauth.errors import InvalidTarget
from authsvc.oauth.models import TokenFamily
from authsvc.oauth.subject import Subject

ERRORS = {
    Waiting.PENDING: AuthorizationPendingError,
    Waiting.TOO_FAST: SlowDownError,
    Waiting.DENIED: AccessDeniedError,
    Waiting.EXPIRED: ExpiredTokenError,
    Waiting.UNKNOWN: InvalidGrantError,
}


@dataclass(frozen=True)
class Redeemed:
    """A device code that was spent just now; the form Authlib asks for it in."""

    family: TokenFamily

    def get_client_id(self) -> str:
        """Whose it is."""
        return self.family.client_id

    def get_scope(self) -> str:
        """What was granted."""
        return self.family.scope


class DeviceCodeGrant(Authlibs):  # type: ignore[misc]  # Authlib is untyped
    """Codes come from and go to oauth/device/codes.py, which spends them here: Authlib's own never would (libraries 1.5, 7)."""

    TOKEN_ENDPOINT_AUTH_METHODS = list(ANY)

    def query_device_credential(self, device_code: str) -> Redeemed:
        """Spend the code. Raises: the errors of RFC 8628 3.5; invalid_grant where Authlib says invalid_request."""
        found = self.server.device_codes.redeem(self.server.tx(), device_code, client_id=self.request.client.client_id)
        if isinstance(found, Waiting):
            raise ERRORS[found]
        return Redeemed(found)

    def validate_device_credential(self, credential: Redeemed) -> Subject:
        """Whom the approval speaks of."""
        family = credential.family
        if (resource := self.request.form.get("resource")) and resource != family.resource:
            raise InvalidTarget("The resource is not the one that was granted.")
        subject: Subject = self.server.subject_of(family, self.request.client)
        return subject

    def generate_token(self, *, user: Subject, scope: str, include_refresh_token: bool) -> dict[str, Any]:
        """Authlib's token for the granted resource, with our refresh token beside it."""
        said = self.server.scope_said(self.request.client, user.resource, scope)
        token: dict[str, Any] = super().generate_token(user=user, scope=said, include_refresh_token=False)
        if include_refresh_token:
            token["refresh_token"] = self.server.refresh_tokens.first(self.server.tx(), user.family)
        return token
