"""Which sender an address in the settings stands for."""

from __future__ import annotations

from pathlib import Path

from authsvc.errors import ConfigurationError
from authsvc.messaging.directory import DirectorySender
from authsvc.messaging.message import Delivery, Message, MessageSender, is_one_address
from authsvc.messaging.smtp import SmtpSender, SmtpServer


class NoTextMessages:
    """Stands where no text messages can be sent; the method is then not offered, so only a race arrives here."""

    def send(self, message: Message) -> Delivery:
        """Always REFUSED."""
        return Delivery.refused("no text message sender is configured")


def sender_for(url: str, *, email_from: str) -> MessageSender:
    """The sender for `url`: `dir:PATH`, `smtp://[user:password@]host:port[?tls=starttls|implicit|none]` or `none:`.

    `email_from` is the address that mail is sent from. Nothing is opened yet.
    Raises: ConfigurationError, which never repeats a password.
    """
    scheme, _, rest = url.partition(":")
    match scheme:
        case "dir" if rest:
            return DirectorySender(Path(rest))
        case "smtp":
            if not is_one_address(email_from):
                raise ConfigurationError(
                    ["AUTHSVC_EMAIL_FROM must be one plain email address, such as no-reply@example.com"]
                )
            return SmtpSender(SmtpServer.from_url(url), email_from=email_from)
        case "none":
            return NoTextMessages()
        case _:
            raise ConfigurationError(["A sender must be dir:PATH, smtp://host:port or none:"])
