"""A message as mail (RFC 5322), the same whoever carries it."""

from __future__ import annotations

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from authsvc.messaging.message import Message


def mail_of(message: Message, *, email_from: str) -> EmailMessage:
    """The mail, from `email_from`. A later try has the same date and Message-ID, so that a duplicate can be dropped."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address(display_name=message.sender_name, addr_spec=email_from)
    mail["To"] = Address(addr_spec=message.to)
    mail["Subject"] = message.subject
    mail["Date"] = message.created_at
    mail["Message-ID"] = f"<{message.key}@{email_from.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers, please
    mail.set_content(message.text)
    mail.add_alternative(message.html, subtype="html")
    return mail
