"""Which sender an address in the settings stands for."""

from __future__ import annotations

from pathlib import Path

from authsvc.errors import ConfigurationError
from authsvc.messaging.directory import DirectorySender
from authsvc.messaging.eum import EndUserMessagingSender
from authsvc.messaging.in_order import InOrder
from authsvc.messaging.message import Delivery, Message, MessageSender, is_one_address
from authsvc.messaging.ses import SesSender
from authsvc.messaging.smtp import SmtpSender, SmtpServer
from authsvc.messaging.sns import SnsSender

#: Those of which one may stand in for the other.
TEXT_GATEWAYS = frozenset({"eum", "sns"})


class NoTextMessages:
    """Stands where no text messages can be sent; the method is then not offered, so only a race arrives here."""

    def send(self, message: Message) -> Delivery:
        """Always REFUSED."""
        return Delivery.refused("no text message sender is configured")


def sender_for(url: str, *, email_from: str, aws_endpoint_url: str = "") -> MessageSender:
    """The sender for `url`; of two text gateways with a comma between, the second stands in for the first.

    `dir:PATH`, `none:`, or for mail `smtp://[user:password@]host:port[?tls=starttls|implicit|none]` or `ses:`, for text
    messages `eum:` or `sns:`; AWS's are spelled out in their modules. `email_from` is the address that mail is sent from.
    Nothing is opened yet. Raises: ConfigurationError, which never repeats a password.
    """
    if len(urls := url.split(",")) > 1 and all(one.partition(":")[0] in TEXT_GATEWAYS for one in urls):
        return InOrder([sender_for(one, email_from=email_from, aws_endpoint_url=aws_endpoint_url) for one in urls])
    scheme, _, rest = url.partition(":")
    if scheme in ("smtp", "ses") and not is_one_address(email_from):
        raise ConfigurationError(["AUTHSVC_EMAIL_FROM must be one plain email address, such as no-reply@example.com"])
    match scheme:
        case "dir" if rest:
            return DirectorySender(Path(rest))
        case "smtp":
            return SmtpSender(SmtpServer.from_url(url), email_from=email_from)
        case "ses":
            return SesSender.from_url(url, email_from=email_from, endpoint_url=aws_endpoint_url)
        case "eum":
            return EndUserMessagingSender.from_url(url, endpoint_url=aws_endpoint_url)
        case "sns":
            return SnsSender.from_url(url, endpoint_url=aws_endpoint_url)
        case "none":
            return NoTextMessages()
        case _:
            raise ConfigurationError(["A sender must be dir:PATH, smtp://host:port, ses:, eum:, sns: or none:"])
