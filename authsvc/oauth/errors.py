"""Wire errors that Authlib does not know, or names in two places."""

from __future__ import annotations

from authlib.oauth2.rfc6749 import OAuth2Error


class InvalidTarget(OAuth2Error):  # type: ignore[misc]  # Authlib is untyped
    """The resource is unknown or not allowed (RFC 8707 2)."""

    error = "invalid_target"


class UnmetAuthenticationRequirements(OAuth2Error):  # type: ignore[misc]  # Authlib is untyped
    """The person cannot show what the request demands (OpenID Connect Core Unmet Authentication Requirements 1.0)."""

    error = "unmet_authentication_requirements"


class InvalidRequestObject(OAuth2Error):  # type: ignore[misc]  # Authlib is untyped
    """The request object is not one that we may act on (RFC 9101 6)."""

    error = "invalid_request_object"


class InvalidRequestUri(OAuth2Error):  # type: ignore[misc]  # Authlib is untyped
    """The link of a pushed request is unknown, too old, used or another client's (RFC 9126 4, RFC 9101 7)."""

    error = "invalid_request_uri"


class RequestUriNotSupported(OAuth2Error):  # type: ignore[misc]  # Authlib is untyped
    """Request objects by reference are not offered (OpenID Connect Core 6.2)."""

    error = "request_uri_not_supported"
