"""Which addresses a client may register, and which address it may then send. Pure."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from authsvc.settings import LOOPBACK

LONGEST = 2000

_CHARACTERS = re.compile(
    r"[\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]+"
)  # no blank, quote, <, >, \, ^, `, {, |, }
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\]")
#: RFC 8252 7.1: a domain of the author's, backwards, and one slash. The dot keeps javascript:, data: and their like out.
_PRIVATE_USE = re.compile(r"[a-z][a-z0-9+-]*(?:\.[a-z0-9][a-z0-9+-]*)+:/(?!/)[^\s]*")
#: RFC 8252 7.3: the port is whatever the system gave to the app. `localhost` may lead elsewhere (8.3): to the letter only.
_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::([0-9]{1,5}))?((?:[/?].*)?)")


def web_address(value: str) -> str:
    """`value`, if it is an https address without surprises. Raises: ValueError with a sentence for its author."""
    parts = _parts(value)
    loopback = parts is not None and parts.scheme == "http" and parts.hostname in LOOPBACK
    if parts is None or not (parts.scheme == "https" or loopback):
        raise ValueError(
            "must be an https address (http on a loopback address), without a fragment, a wildcard or a user name"
        )
    return value


def https_address(value: str) -> str:
    """`value`, if it is https. Raises: ValueError: what browsers are shown or sent to is https, on every machine."""
    parts = _parts(value)
    if parts is None or parts.scheme != "https":
        raise ValueError("must be an https address, without a fragment, a wildcard or a user name")
    return value


def redirect_address(value: str, application_type: str) -> str:
    """`value`, if this type of client may be sent answers there. Raises: ValueError.

    web: https. native (RFC 8252): also a loopback address, any port of which will do, and a scheme that belongs to the app.
    """
    is_apps_own = _PRIVATE_USE.fullmatch(value) is not None and _CHARACTERS.fullmatch(value) is not None
    if is_apps_own and "#" not in value and "*" not in value and len(value) <= LONGEST:
        if application_type != "native":
            raise ValueError("has the scheme of an app; register application_type native")
        return value
    return web_address(value)


def is_same_redirect(registered: str, sent: str, application_type: str) -> bool:
    """To the letter (RFC 9700 4.1.3), but for the port of a native app's loopback address (RFC 8252 7.3)."""
    if sent == registered:
        return True
    if application_type != "native":
        return False
    ours, theirs = _LOOPBACK.fullmatch(registered), _LOOPBACK.fullmatch(sent)
    if ours is None or theirs is None or int(theirs[2] or 80) not in range(1, 65536):
        return False
    return (ours[1], ours[3]) == (theirs[1], theirs[3])


def host_of(address: str) -> str:
    """The host, as pairwise identifiers group clients by it (OpenID Connect Core 8.1)."""
    return urlsplit(address).hostname or ""


def _parts(value: str) -> SplitResult | None:
    """The parts of a plain address; None where browsers and we might read it differently."""
    if len(value) > LONGEST or not _CHARACTERS.fullmatch(value) or "#" in value or "*" in value:
        return None
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return None
    host = parts.netloc if port is None else parts.netloc.rpartition(":")[0]
    if parts.netloc.endswith(":") or port == 0 or not _HOST.fullmatch(host):
        return None
    return parts
