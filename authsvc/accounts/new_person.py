"""What may be typed for somebody who is added: names and an address. Pure."""

from __future__ import annotations

from authsvc.messaging.message import is_one_address

LONGEST_NAME = 80
#: Domains that mark contacts who cannot be invited (domain, Placeholder email).
PLACEHOLDERS = ("imsinvestor", "imsplaceholder")
#: A name goes into mails: nothing that a mail program would turn into a link.
_NOT_IN_NAMES = frozenset("<>/\\@:")


def refuse_name(typed: str, which: str) -> str | None:
    """Why this is no `which` ("first name"), in one sentence; None when it is."""
    if not typed:
        return f"Enter a {which}"
    if len(typed) > LONGEST_NAME:
        return f"A {which} has {LONGEST_NAME} characters at most. This one has {len(typed)}."
    if not typed.isprintable() or _NOT_IN_NAMES & set(typed):
        return f"A {which} cannot hold any of < > / \\ @ : or invisible characters"
    return None


def refuse_email(typed: str) -> str | None:
    """Why no invitation can go there, in one sentence; None when it can."""
    if not typed:
        return "Enter an email address"
    if any(label in PLACEHOLDERS for label in typed.rpartition("@")[2].casefold().split(".")):
        return "This is a placeholder address, which nobody can read. Enter the person’s own."
    if not is_one_address(typed) or "." not in typed.rpartition("@")[2]:
        return "Enter an email address like name@company.com"
    return None
