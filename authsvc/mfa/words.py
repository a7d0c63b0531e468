"""What pages say about a code: why it was not taken, and when another may be asked for (ux.md S4). Pure."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from authsvc.mfa.challenge import CodeCheck, CodeOutcome, clean
from authsvc.mfa.enrolment import OwnCode
from authsvc.mfa.exchange import Sending, SendOutcome
from authsvc.mfa.models import Challenge
from authsvc.web.text import clock_time, exact_time

OF_THE_APP = {
    OwnCode.WRONG: "Check the code and enter it again.",
    OwnCode.SPENT: "That code was already used. Wait until your app shows the next one.",
}
OF_RECOVERY = {
    OwnCode.WRONG: "Check the recovery code and enter it again.",
    OwnCode.SPENT: "That recovery code was already used. Use another one.",
}
SENT_AGAIN = "We sent a new code. Only the newest one works."
NOT_SENT = "We couldn’t send a code just now. Send a new one in a moment."


def unlike_a_code(typed: str, digits: int) -> str | None:
    """What is wrong with the typed code before it is compared: no try is taken for it."""
    return None if len(clean(typed) or "") == digits else f"Enter all {digits} digits"


def errors(check: CodeCheck, challenge: Challenge | None, zone: ZoneInfo) -> dict[str, str]:
    """The message for the field `code`; as `expired` it stands beside a button that sends a new one."""
    if check.outcome is CodeOutcome.EXPIRED:
        return {"expired": "That code has expired. Send a new one."}
    if check.outcome is CodeOutcome.SUPERSEDED and challenge is not None:
        return {"code": f"We sent a newer code at {clock_time(challenge.sent_at, zone)}. Use that one."}
    if challenge is None:
        return {"expired": "There is no code to check. Send a new one."}
    left = f" {check.tries_left} {'try' if check.tries_left == 1 else 'tries'} left." if check.tries_left else ""
    return {"code": f"Check the code and enter it again.{left}"}


def wait(sending: Sending, zone: ZoneInfo) -> str:
    """Why no code was sent, and until when."""
    if sending.until is None:
        return "The code we sent still works."
    if sending.outcome is SendOutcome.TOO_SOON:
        return f"You can ask for a new code at {exact_time(sending.until, zone)}."
    return f"We’ve sent as many codes as we can for now. Try again at {clock_time(sending.until, zone)}."
