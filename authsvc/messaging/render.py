"""The words of every message, from the templates beside this file.

Values are plain strings that the caller has already formatted for the person's time zone:

| message, channel          | values                                                                                  |
|---------------------------|-----------------------------------------------------------------------------------------|
| sign_in_code, email       | account_name account_short code works_until asked_at browser portal_host support_email  |
| sign_in_code, sms         | account_short code host                                                                 |
| verify_email_code, email  | account_name account_short code works_until asked_at browser support_email              |
| phone_code, sms           | account_short code host                                                                 |
| notice_phone_added, email | account_name account_short asked_at browser portal_host support_email phone_ending      |
| reset_password, email     | account_name account_short asked_at browser link works_for address support_email        |
| verify_email_link, email  | account_name account_short link works_for address support_email                         |
| notice_new_device, email  | account_name account_short asked_at browser portal_host support_email                   |
| notice_mfa, email         | account_name account_short asked_at browser portal_host support_email by did state      |
|                           | audience methods                                                                        |
| notice_app_added, email   | as notice_new_device; so notice_app_removed and notice_recovery_codes                   |
| notice_recovery_code_used | as notice_new_device, and left                                                          |
| notice_phone_changed, notice_phone_removed, email | as notice_phone_added                                          |
| notice_email_changed, email | account_name account_short asked_at browser support_email new_address                 |
| notice_password_changed, email | account_name account_short asked_at browser support_email                          |
| notice_data_access, email | account_name account_short asked_at portal_host support_email person verb by            |
| notice_second_step_reset  | account_name account_short asked_at portal_host support_email by                        |
| invitation_new, email     | account_name account_short inviter link works_for support_email                         |
| invitation_existing, email| account_name account_short inviter link works_for support_email                         |
| notice_member_reset, email     | account_name account_short asked_at browser support_email about_name what          |
| notice_invitation_wanted, email | account_name account_short asked_at support_email about_name                      |
| notice_export_ready, notice_export_failed | account_name support_email: neither link, nor file, nor its name      |

- account_name, account_short: "Northgate Capital Partners", "Northgate"; as the account wrote them, any characters
- code: the digits, without a space
- works_until, asked_at: "4:41 PM EST", "Nov 22, 4:31 PM EST"; in a notice, asked_at is when it happened
- browser: "Chrome on macOS", or with the place when one is known (domain D30)
- portal_host: where the person changes the password; host: the issuer's exact host, where the code is typed
- by, did, state: "Dana Whitfield", "turned on", "turned off" or "changed", "on" or "off"; audience: "Team Members" or
  "investors"; methods: "Email and SMS"
- link, works_for: the whole address, "30 minutes"; address: the person's own, in full
- left: how many recovery codes are left, in words
- phone_ending: the last two digits; new_address: masked, "d•••@northgate.example"
- inviter, by, person: a person's name, as they wrote it, or "IMS support" or "You"; verb: "have" or "has"
- about_name, what: who it is about, what became of their password
- not_me_link: an address of ours, in every notice of what somebody did as this person

A value that a message does not use may be given all the same.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from jinja2 import Environment, PackageLoader, StrictUndefined, TemplateNotFound, UndefinedError, select_autoescape

from authsvc.messaging.gsm7 import SEGMENT_SEPTETS, plain_name, septets
from authsvc.messaging.message import Channel, MessagingError

_templates = Environment(
    loader=PackageLoader("authsvc.messaging", "templates"),
    undefined=StrictUndefined,
    autoescape=select_autoescape(enabled_extensions=("html",), default=False, default_for_string=False),
)

_NO_NAME = "IMS"  # a name of which nothing can be shown
_LONGEST = {"account_name": 200, "account_short": 40, "browser": 100, "address": 320, "link": 500, "not_me_link": 500}
_LONGEST |= dict.fromkeys(("inviter", "by", "person", "about_name"), 100)
_LONGEST_SENDER_NAME = 64
_LONGEST_OTHER = 255  # no host or address is longer
_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ENCODED_WORD = re.compile(r"=\?+")
_STRUCTURE = re.compile(r'[()<>\[\]:;@\\,"]')


class MessageCannotBeWritten(MessagingError):
    """There is no such message, or a value for it is missing."""


class NotOneTextMessage(MessagingError):
    """The text message does not fit one segment of the GSM alphabet."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The words of one message, and the name that mail comes from. A text message has only `text`."""

    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)
    sender_name: str = field(repr=False)


def render(message_name: str, channel: Channel, **values: str) -> Rendered:
    """The words of `message_name` for `channel`; the table above names its values.

    The subject is one line. An account's name that is too long is cut, and in a text message brought into the alphabet.
    Raises: MessageCannotBeWritten; NotOneTextMessage when a text message would take two segments.
    """
    clean = {name: _clean(value, longest=_LONGEST.get(name, _LONGEST_OTHER)) for name, value in values.items()}
    for name in ("account_name", "account_short"):
        if name in clean:
            clean[name] = clean[name] or _NO_NAME
    if channel == "sms":
        return Rendered(subject="", text=_one_segment(f"{message_name}/sms.txt", clean), html="", sender_name="")
    subject = _fill(f"{message_name}/subject.txt", clean).strip()
    text = _fill(f"{message_name}/body.txt", clean)
    html = _fill(f"{message_name}/body.html", clean | {"subject": subject})
    return Rendered(subject=subject, text=text, html=html, sender_name=_sender_name(clean.get("account_name", "")))


def _sender_name(account_name: str) -> str:
    """The name that mail comes from: "Northgate Capital Partners via IMS".

    Without the characters that structure an address header: the mail library loses the quotes around them when it folds
    a long name, and a comma would then begin a second sender.
    """
    name = _STRUCTURE.sub(" ", _clean(account_name, longest=_LONGEST_SENDER_NAME))
    name = " ".join(name.split())
    return f"{name} via {_NO_NAME}" if name not in ("", _NO_NAME) else _NO_NAME


def require_one_segment(text: str, *, template: str) -> str:
    """`text`, when it is one segment of GSM-7. Raises: NotOneTextMessage, naming the template and not the text."""
    length = septets(text)
    if length is None:
        raise NotOneTextMessage(f"The text message {template} has a character outside the GSM alphabet.")
    if length > SEGMENT_SEPTETS:
        raise NotOneTextMessage(
            f"The text message {template} takes {length} septets; one segment holds {SEGMENT_SEPTETS}."
        )
    return text


def _one_segment(template: str, values: dict[str, str]) -> str:
    short = plain_name(values.get("account_short", _NO_NAME)) or _NO_NAME
    text = _fill(template, values | {"account_short": short})
    # Only the name may give way: a host or a code that is cut is wrong. Its characters take one septet each.
    if excess := max(0, (septets(text) or 0) - SEGMENT_SEPTETS):
        short = short[:-excess].rstrip() or _NO_NAME
        text = _fill(template, values | {"account_short": short})
    return require_one_segment(text, template=template)


def _fill(template: str, values: dict[str, str]) -> str:
    try:
        return _templates.get_template(template).render(values)
    except TemplateNotFound as exc:
        raise MessageCannotBeWritten(f"There is no message template {exc.name}.") from exc
    except UndefinedError as exc:
        raise MessageCannotBeWritten(
            f"A value is missing in the message template {template}.", detail=str(exc)
        ) from exc


def _clean(value: str, *, longest: int) -> str:
    """`value` as one line that says what it shows.

    Line breaks would add headers (RC-05), and direction marks would turn "moc.live" around. An encoded word would be
    decoded by the mail library, line breaks included, so its opening is broken up. A markup type, which would skip
    escaping, comes out as plain `str`.
    """
    line = "".join(" " if _is_unprintable(char) else char for char in value[: longest * 4])
    line = _ENCODED_WORD.sub("=", " ".join(line.split()))
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def _is_unprintable(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or char in _DIRECTION
