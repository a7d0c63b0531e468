"""The code that a device shows and a person types. Pure, but for the dice."""

from __future__ import annotations

import secrets

#: No vowel, so no word; no digit and no letter that is mistaken for another (RFC 8628 6.1). 20 ** 8 is 34.6 bits: enough
#: for some minutes behind a limit on tries (5.1).
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
LENGTH = 8


def new_user_code() -> str:
    """As it is shown: "WDJB-MJHT"."""
    return shown("".join(secrets.choice(ALPHABET) for _ in range(LENGTH)))


def read(typed: str) -> str | None:
    """The eight letters of what was typed, in any case and with anything between them; None when they are not eight."""
    letters = [letter for letter in typed[:100].upper() if letter.isascii() and letter.isalnum()]
    is_one = len(letters) == LENGTH and all(letter in ALPHABET for letter in letters)
    return "".join(letters) if is_one else None


def shown(letters: str) -> str:
    """In two halves, to be read aloud."""
    return f"{letters[:4]}-{letters[4:]}"
