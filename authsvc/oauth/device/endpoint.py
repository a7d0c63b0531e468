"""The device authorization endpoint (RFC 8628 3.1, 3.2)."""

from __future__ import annotations

from typing import Any

from authlib.common.urls import add_params_to_uri
from authlib.consts import default_json_headers
from authlib.oauth2.rfc6749 import InvalidScopeError, UnauthorizedClientError
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint, DeviceCodeGrant

from authsvc.oauth.call import Call
from authsvc.oauth.client_auth import ANY, TooManyRequests
from authsvc.oauth.clients import Client, NoSuchTarget, audience_for
from authsvc.oauth.errors import InvalidTarget
from authsvc.throttle import AddressWindows

VERIFICATION_PATH = "/device"


class DeviceAuthorization(DeviceAuthorizationEndpoint):  # type: ignore[misc]  # Authlib is untyped
    """Authlib's endpoint, which keeps nothing of the call, with the checks that it leaves out."""

    CLIENT_AUTH_METHODS = list(ANY)

    def __init__(self, windows: AddressWindows) -> None:
        super().__init__(None)
        self._windows = windows

    def get_verification_uri(self) -> str:
        """Where the person goes."""
        return f"{self.server.issuer}{VERIFICATION_PATH}"

    def create_endpoint_response(self, request: Call) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Both codes, for a client that may have them. Raises: OAuth2Error."""
        # A row for whoever knows the id of a public client: limited before anything is looked up.
        if not self._windows.admit("device_per_address", request.remote_address):
            raise TooManyRequests("Too many devices ask from here. Try again in a minute.", retry_after_s=60)
        client: Client = self.authenticate_client(request)
        if not client.check_grant_type(DeviceCodeGrant.GRANT_TYPE):
            raise UnauthorizedClientError("This client may not use this grant.")
        scope = client.get_allowed_scope(request.payload.scope)
        if scope is None:
            raise InvalidScopeError("Name at least one scope that this client may have.")
        tx, codes = self.server.tx(), self.server.device_codes
        try:
            resource = audience_for(
                request.form.get("resource"),
                scope,
                resources=client.reachable(self.server.registry.resources(tx)),
                issuer=self.server.issuer,
            )
        except NoSuchTarget as exc:
            raise InvalidTarget("Name one registered resource.") from exc
        started = codes.start(
            tx,
            client_id=client.client_id,
            scope=scope,
            resource=resource,
            remote_address=request.remote_address,
        )
        uri = self.get_verification_uri()
        answer = {
            "device_code": started.device_code,
            "user_code": started.user_code,
            "verification_uri": uri,
            "verification_uri_complete": add_params_to_uri(uri, [("user_code", started.user_code)]),
            "expires_in": int(codes.policy.lifetime.total_seconds()),
            "interval": int(codes.policy.interval.total_seconds()),
        }
        return 200, answer, default_json_headers
