"""Text messages by Amazon SNS, the second way: `sns:[REGION][?from=NUMBER]`."""

from __future__ import annotations

from typing import Self

from authsvc.messaging.aws_call import AwsAddress, AwsCall
from authsvc.messaging.message import Delivery, Message, OnlyText, why_unsendable

#: SNS says "invalid parameter" of a number that cannot be texted and of one that has opted out.
_REFUSALS = frozenset({"InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid", "OptedOut"})


class SnsSender:
    """Hands text messages to SNS; nothing of ours is set up there, so it does as a way out."""

    def __init__(self, call: AwsCall, *, number: str = "") -> None:
        """`number`: which of the AWS account's numbers it comes from; empty: SNS chooses."""
        self._call = call
        said = {"AWS.SNS.SMS.SMSType": "Transactional"} | ({"AWS.MM.SMS.OriginationNumber": number} if number else {})
        self._attributes = {name: {"DataType": "String", "StringValue": value} for name, value in said.items()}

    @classmethod
    def from_url(cls, url: str, *, endpoint_url: str) -> Self:
        """The sender for `url`. Raises: ConfigurationError."""
        address = AwsAddress.from_url(url, options=frozenset({"from"}))
        return cls(AwsCall.to("sns", address, endpoint_url=endpoint_url), number=address.options.get("from", ""))

    def send(self, message: Message) -> Delivery:
        """Send one text message. Raises: OnlyText."""
        if message.channel != "sms":
            raise OnlyText
        if reason := why_unsendable(message):
            return Delivery.refused(reason)
        return self._call.send(
            "publish",
            refusals=_REFUSALS,
            PhoneNumber=message.to,
            Message=message.text,
            MessageAttributes=self._attributes,
        )
