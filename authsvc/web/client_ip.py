"""Whose request this is: the address behind trusted proxies, and the Host that must be ours."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Probes come by address and ask for nothing that depends on the Host.
PROBES = frozenset({"/healthz", "/readyz"})


def networks(setting: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """The networks named in AUTHSVC_TRUSTED_PROXIES."""
    return tuple(ip_network(part.strip(), strict=False) for part in setting.split(",") if part.strip())


def client_address(peer: str, forwarded_for: str, trusted: Iterable[IPv4Network | IPv6Network]) -> str:
    """The nearest address that is not a trusted proxy. What such an address claims itself does not count (LG-05)."""
    trusted = tuple(trusted)
    nearest = peer
    for hop in map(str.strip, reversed([*filter(None, forwarded_for.split(",")), peer])):
        try:
            address = ip_address(hop)
        except ValueError:
            return nearest
        nearest = hop
        if not any(address in network for network in trusted):
            return nearest
    return nearest


class TrustedProxies:
    """Outermost layer: sets REMOTE_ADDR to the client's address, whichever server runs us."""

    def __init__(self, app: WSGIApplication, *, trusted: str) -> None:
        self._app, self._trusted = app, networks(trusted)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on."""
        if self._trusted:
            environ["REMOTE_ADDR"] = client_address(
                environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR", ""), self._trusted
            )
        return self._app(environ, start_response)


class OwnHost:
    """Refuses a Host that is not the issuer's, so that no link and no cookie is ever made for another (RC-01)."""

    def __init__(self, app: WSGIApplication, *, issuer: str) -> None:
        self._app, self._host = app, urlsplit(issuer).netloc.lower()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, or answer 400."""
        if environ.get("HTTP_HOST", "").lower() == self._host or environ.get("PATH_INFO") in PROBES:
            return self._app(environ, start_response)
        return Response("This address is not served here.\n", 400, mimetype="text/plain")(environ, start_response)
