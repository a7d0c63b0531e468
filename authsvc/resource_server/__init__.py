"""What another service needs to trust our access tokens; joserfc and urllib3 are all that it needs.

    from authsvc.resource_server import Requirement, TokenVerifier

    verify = TokenVerifier(issuer="https://login.ims.example", audience="https://api.ims.example/investors")
    claims = verify(token, Requirement(scope="investors.read", acr="urn:ims:acr:two-step", mfa_within_s=900))

A refusal is a TokenError: answer with its `status` and `challenge()`, log its `reason`; `flask.protect`,
`asgi.TokenMiddleware` and `wsgi.TokenMiddleware` do. IntrospectionVerifier asks the issuer about each token instead.
`testing.MockIssuer` is for your tests. RECIPES.md beside this file shows each of them at work.
"""

from authsvc.resource_server.claims import LEVELS, Account, Claims, RememberedDevice, Requirement
from authsvc.resource_server.errors import (
    InsufficientAuthentication,
    InsufficientPrivilege,
    InsufficientScope,
    InvalidRequest,
    InvalidToken,
    IssuerUnavailable,
    KeysUnavailable,
    MissingToken,
    TokenError,
)
from authsvc.resource_server.introspection import IntrospectionVerifier
from authsvc.resource_server.verifier import TokenVerifier, Verifier

__all__ = [
    "LEVELS",
    "Account",
    "Claims",
    "InsufficientAuthentication",
    "InsufficientPrivilege",
    "InsufficientScope",
    "IntrospectionVerifier",
    "InvalidRequest",
    "InvalidToken",
    "IssuerUnavailable",
    "KeysUnavailable",
    "MissingToken",
    "RememberedDevice",
    "Requirement",
    "TokenError",
    "TokenVerifier",
    "Verifier",
]
