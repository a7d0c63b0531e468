"""What another service needs to trust our access tokens; joserfc and urllib3 are all that it needs.

    from authsvc.resource_server import Requirement, TokenVerifier

    verify = TokenVerifier(issuer="https://login.ims.example", audience="https://api.ims.example/investors")
    claims = verify(token, Requirement(scope="investors.read", acr="urn:ims:acr:two-step", mfa_within_s=900))

A refusal is a TokenError: answer with its `status` and `challenge()`, log its `reason`. In Flask, use
`authsvc.resource_server.flask.protect`.
"""

from authsvc.resource_server.claims import LEVELS, Account, Claims, RememberedDevice, Requirement
from authsvc.resource_server.errors import (
    InsufficientAuthentication,
    InsufficientPrivilege,
    InsufficientScope,
    InvalidRequest,
    InvalidToken,
    KeysUnavailable,
    MissingToken,
    TokenError,
)
from authsvc.resource_server.verifier import TokenVerifier

__all__ = [
    "LEVELS",
    "Account",
    "Claims",
    "InsufficientAuthentication",
    "InsufficientPrivilege",
    "InsufficientScope",
    "InvalidRequest",
    "InvalidToken",
    "KeysUnavailable",
    "MissingToken",
    "RememberedDevice",
    "Requirement",
    "TokenError",
    "TokenVerifier",
]
