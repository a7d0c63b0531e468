"""Email addresses that people give us: one plain address, or none."""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email

from authsvc.messaging.message import is_one_address


def parse(typed: str) -> str | None:
    """What was typed, if every mail server reads it as the same one address; None otherwise (security.md RC-05).

    The part before the @ stays as typed, for some servers tell upper from lower case. Other scripts are refused: what is
    typed at the next sign-in would not be what is stored.
    """
    plain = typed.strip()
    if not is_one_address(plain):
        return None
    try:
        return validate_email(plain, check_deliverability=False, allow_smtputf8=False).ascii_email
    except EmailNotValidError:
        return None
