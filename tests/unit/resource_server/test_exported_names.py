"""The names that other services import. One that goes, or comes unnoticed, breaks them: change this with the changelog."""

from __future__ import annotations

import dataclasses
import inspect

import authsvc.resource_server as kit
from authsvc.resource_server import asgi, testing, wsgi


def test_the_exported_names_are_these() -> None:
    """Each is documented, and nothing else is promised."""
    assert kit.__all__ == [
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
    exported = [getattr(kit, name) for name in kit.__all__ if name != "LEVELS"]
    assert all(thing.__module__.startswith("authsvc.resource_server.") and thing.__doc__ for thing in exported)


def arguments(function: object) -> list[str]:
    """Names of the arguments, keyword-only ones behind a star."""
    parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    return [("*" if found.kind is found.KEYWORD_ONLY else "") + found.name for found in parameters]


def test_the_arguments_are_these() -> None:
    """They are passed by name all over other people's code."""
    clock = ["*now", "*monotonic"]
    assert arguments(kit.TokenVerifier) == [
        *("issuer", "audience", "*algorithms", "*leeway_s", "*fetch"),
        *clock,
        "*cache_size",
    ]
    assert arguments(kit.IntrospectionVerifier) == [
        *("issuer", "client_id", "client_secret", "audience", "*leeway_s", "*fetch", "*post"),
        *clock,
    ]
    assert arguments(kit.Requirement) == ["*scope", "*entitlement", "*account", "*acr", "*max_age_s", "*mfa_within_s"]
    middleware = ["app", "verify", "requirement", "*paths", "*open_paths", "*realm"]
    assert arguments(wsgi.TokenMiddleware) == middleware
    assert arguments(asgi.TokenMiddleware) == [*middleware, "*threads"]
    assert arguments(testing.MockIssuer) == ["*issuer", "*audience", "*client", "*now"]


def test_the_fields_of_the_claims_are_these() -> None:
    """What handlers read."""
    named = [field.name for field in dataclasses.fields(kit.Claims) if not field.name.startswith("_")]
    assert named == [
        *(
            "sub",
            "client_id",
            "jti",
            "issued_at",
            "expires_at",
            "not_before",
            "scope",
            "acr",
            "amr",
            "auth_time",
            "sid",
        ),
        *("account", "entitlements", "roles", "remembered_device"),
    ]
    assert [field.name for field in dataclasses.fields(kit.Account)] == ["id", "slug", "audience"]
    device = [field.name for field in dataclasses.fields(kit.RememberedDevice)]
    assert device == ["v", "state", "mfa_at", "exp", "bind", "mfa_amr"]
