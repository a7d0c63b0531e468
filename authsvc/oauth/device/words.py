"""What a scope lets a client do, in the words of the confirm page."""

from __future__ import annotations

_WORDS = {
    "openid": "Know that it is you",
    "profile": "See your name and time zone",
    "email": "See your email address",
    "offline_access": "Stay signed in while you’re away",
}


def asks(scope: str) -> list[str]:
    """One line for each thing asked, in the order asked; an API's scope by its name, which its owner chose."""
    return [_WORDS.get(name, f"Use “{name}” for you") for name in scope.split()]
