"""Mail by Amazon SES, API version 2: `ses:[REGION][?configuration_set=NAME]`."""

from __future__ import annotations

from email.policy import SMTP
from typing import Self

from authsvc.messaging.aws_call import AwsAddress, AwsCall
from authsvc.messaging.message import Delivery, Message, OnlyEmail, why_unsendable
from authsvc.messaging.mime import mail_of

#: What lies in the message. Ours to mend, and so tried again: a paused or suspended account, an unverified domain, quotas.
_REFUSALS = frozenset({"MessageRejected", "BadRequestException"})
#: SES keeps to the seven bits of RFC 5321: other bytes are encoded.
_SEVEN_BIT = SMTP.clone(cte_type="7bit")


class SesSender:
    """Hands mail to SES as the bytes that any mail server would get, so that headers are ours to the letter."""

    def __init__(self, call: AwsCall, *, email_from: str, configuration_set: str = "") -> None:
        """`configuration_set`: where SES publishes bounces, and which addresses it suppresses by itself."""
        self._call, self._email_from = call, email_from
        self._named = {"ConfigurationSetName": configuration_set} if configuration_set else {}

    @classmethod
    def from_url(cls, url: str, *, email_from: str, endpoint_url: str) -> Self:
        """The sender for `url`. Raises: ConfigurationError."""
        address = AwsAddress.from_url(url, options=frozenset({"configuration_set"}))
        call = AwsCall.to("sesv2", address, endpoint_url=endpoint_url)
        return cls(call, email_from=email_from, configuration_set=address.options.get("configuration_set", ""))

    def send(self, message: Message) -> Delivery:
        """Send one email. Raises: OnlyEmail."""
        if message.channel != "email":
            raise OnlyEmail
        if reason := why_unsendable(message):
            return Delivery.refused(reason)
        mail = mail_of(message, email_from=self._email_from)
        return self._call.send(
            "send_email",
            refusals=_REFUSALS,
            # Both ends are given here, never read back from headers (security.md RC-05).
            FromEmailAddress=self._email_from,
            Destination={"ToAddresses": [message.to]},
            Content={"Raw": {"Data": mail.as_bytes(policy=_SEVEN_BIT)}},
            **self._named,
        )
