"""Wire errors that Authlib does not know."""

from __future__ import annotations

from authlib.oauth2.rfc6749 import OAuth2Error


class InvalidTarget(OAuth2Error):  # type: ignore[misc]  # Authlib is untyped
    """The resource is unknown or not allowed (RFC 8707 2)."""

    error = "invalid_target"


class RequestNotSupported(OAuth2Error):  # type: ignore[misc]  # Authlib is untyped
    """Request objects by value are not offered (OpenID Connect Core 6.1)."""

    error = "request_not_supported"


class RequestUriNotSupported(OAuth2Error):  # type: ignore[misc]  # Authlib is untyped
    """Request objects by reference are not offered (OpenID Connect Core 6.2)."""

    error = "request_uri_not_supported"
