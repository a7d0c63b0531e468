"""One message to one person, and what became of it."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol, Self, runtime_checkable

from authsvc.errors import AuthsvcError

Channel = Literal["email", "sms"]

# One dot-atom address in ASCII (RFC 5322 section 3.4.1), without quoted local parts, comments or address literals: what
# cannot be read in two ways cannot reach a second mailbox. Domains of other scripts are stored as `xn--` by whoever
# stored the address; translating here could turn one domain into another ("ß" and "ss", security.md RC-05).
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")
_ADDRESS_LENGTH = 254  # RFC 5321 section 4.5.3.1.3, less the angle brackets
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")  # E.164


class MessagingError(AuthsvcError):
    """The message could not be prepared."""


class OnlyEmail(MessagingError):
    """A text message was given to a sender of mail."""


class OnlyText(MessagingError):
    """A mail was given to a sender of text messages."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a sender is given. Its repr, and so a log line, shows neither the address nor the words.

    `to` is one email address or one E.164 number. A text message has no subject, HTML or sender name (empty). `purpose`
    is the name of its templates. `created_at` is when the message was asked for, timezone-aware; a later try keeps it.
    """

    channel: Channel
    to: str = field(repr=False)
    purpose: str
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)
    sender_name: str = field(repr=False)
    created_at: datetime

    def __post_init__(self) -> None:
        if self.created_at.utcoffset() is None:
            raise ValueError("created_at must be timezone-aware")

    @property
    def key(self) -> str:
        """32 hex characters that name this message, the same at every try, so that a mail program can drop a duplicate.

        Made of nothing that is said in the message: mail servers log it, and six digits are soon found behind a digest.
        """
        parts = (self.channel, self.to, self.purpose, self.created_at.isoformat())
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


class Outcome(StrEnum):
    """What became of a message."""

    DELIVERED = "delivered"  # the next system has taken it over; that is not yet the person's inbox
    REFUSED = "refused"  # not taken, now or later
    TRY_LATER = "try_later"  # not taken, and may be when tried again


@dataclass(frozen=True, slots=True)
class Delivery:
    """A sender's answer. `reason` is for operators: it never holds the address or a word of the message."""

    outcome: Outcome
    reason: str = ""
    #: With TRY_LATER: the answer was lost, so the next system may have taken it all the same.
    maybe_taken: bool = False

    @classmethod
    def refused(cls, reason: str) -> Self:
        """What is wrong lies in the message or its address."""
        return cls(Outcome.REFUSED, reason)

    @classmethod
    def try_later(cls, reason: str, *, maybe_taken: bool = False) -> Self:
        """What is wrong lies between us and the next system."""
        return cls(Outcome.TRY_LATER, reason, maybe_taken)


DELIVERED = Delivery(Outcome.DELIVERED)


@runtime_checkable
class Reachable(Protocol):
    """A sender that can be tried without sending."""

    def reach(self) -> Delivery:
        """DELIVERED: the next system would take a message now; else the reason. Never an exception."""
        ...


class MessageSender(Protocol):
    """Carries messages to their next system. Safe to use from several threads; never call it inside a transaction."""

    def send(self, message: Message) -> Delivery:
        """Hand `message` over. What a provider or a network does wrong is an answer, never an exception."""
        ...


def why_unsendable(message: Message) -> str | None:
    """Why no sender may touch this message, or None. Asked before anything is opened (security.md RC-05, PL-06)."""
    for value in (message.to, message.subject, message.sender_name):
        if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in value):
            return "the address or a header holds a control character"
        # The mail library decodes an encoded word in a value that it is given, and writes out the line breaks inside.
        if "=?" in value:
            return "the address or a header holds an encoded word"
    if message.channel == "sms":
        return None if _NUMBER.fullmatch(message.to) else "the number is not one E.164 number"
    return None if is_one_address(message.to) else "the address is not one plain email address"


def is_one_address(value: str) -> bool:
    """Whether `value` is exactly one plain email address, which every mail server reads the same way."""
    return len(value) <= _ADDRESS_LENGTH and _ADDRESS.fullmatch(value) is not None
