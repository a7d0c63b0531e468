"""Text messages by AWS End User Messaging: `eum:[REGION][?from=IDENTITY][&configuration_set=NAME][&protect_configuration=ID]`."""

from __future__ import annotations

from typing import Self

from authsvc.messaging.aws_call import AwsAddress, AwsCall
from authsvc.messaging.message import Delivery, Message, OnlyText, why_unsendable

_OPTIONS = {
    "from": "OriginationIdentity",
    "configuration_set": "ConfigurationSetName",
    "protect_configuration": "ProtectConfigurationId",
}
#: Reasons that lie in the number. Ours to mend, and so tried again: spend limits, throughput, a pool without a number.
_REFUSALS = frozenset(
    {
        "DESTINATION_PHONE_NUMBER_OPTED_OUT",
        "DESTINATION_PHONE_NUMBER_NOT_VERIFIED",
        "DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION",
        "DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE",
        "DESTINATION_COUNTRY_BLOCKED",
        "COUNTRY_NOT_ENABLED",
        "INTERNATIONAL_SENDING_NOT_SUPPORTED",
        "INVALID_IDENTITY_FOR_DESTINATION_COUNTRY",
        "PRICE_OVER_THRESHOLD",
    }
)
#: No code works longer; AWS would try for three days.
LIVES_S = 600


class EndUserMessagingSender:
    """Hands text messages to AWS, as transactional ones: those go first, and have their own opt-out lists."""

    def __init__(self, call: AwsCall, **named: str) -> None:
        """`named`: AWS's own arguments that are the same for each message, as from whom it comes."""
        self._call, self._named = call, named

    @classmethod
    def from_url(cls, url: str, *, endpoint_url: str) -> Self:
        """The sender for `url`. Raises: ConfigurationError."""
        address = AwsAddress.from_url(url, options=frozenset(_OPTIONS))
        call = AwsCall.to("pinpoint-sms-voice-v2", address, endpoint_url=endpoint_url)
        return cls(call, **{_OPTIONS[name]: value for name, value in address.options.items()})

    def send(self, message: Message) -> Delivery:
        """Send one text message. Raises: OnlyText."""
        if message.channel != "sms":
            raise OnlyText
        if reason := why_unsendable(message):
            return Delivery.refused(reason)
        return self._call.send(
            "send_text_message",
            refusals=_REFUSALS,
            DestinationPhoneNumber=message.to,
            MessageBody=message.text,
            MessageType="TRANSACTIONAL",
            TimeToLive=LIVES_S,
            **self._named,
        )
