"""One call that sends a message by AWS, and what its answer means for the message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import unquote

from authsvc.aws import AwsClients, configured_region
from authsvc.errors import ConfigurationError
from authsvc.messaging.message import DELIVERED, Delivery

_REGION = re.compile(r"([a-z]{2}(-[a-z]+)+-[0-9])?")


@dataclass(frozen=True, slots=True)
class AwsAddress:
    """What `ses:REGION?name=value&...` says. Region empty in the address: as boto3 is configured."""

    region: str
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_url(cls, url: str, *, options: frozenset[str]) -> Self:
        """Read it; `options` are those that this sender knows. Raises: ConfigurationError, also where no region is known."""
        place, _, query = url.partition("?")
        scheme, _, region = place.partition(":")
        # Not parse_qsl: to it the plus of a phone number is a space.
        pairs = [pair.partition("=") for pair in query.split("&")] if query else []
        given = {name: unquote(value) for name, _, value in pairs}
        if (
            len(given) < len(pairs)
            or not all(given.values())
            or not given.keys() <= options
            or not _REGION.fullmatch(region)
        ):
            known = "".join(f"[&{name}=...]" for name in sorted(options)).replace("&", "?", 1)
            raise ConfigurationError([f"A sender by AWS must be {scheme}:[REGION]{known}"])
        if not (region or configured_region()):
            raise ConfigurationError(
                [f"{scheme}: needs a region: name it, as in {scheme}:us-east-1, or set AWS_REGION"]
            )
        return cls(region, given)


@dataclass(frozen=True)
class AwsCall:
    """A service of AWS in one region, asked once a message.

    Once, and not again by boto3: where the answer was lost the message may have gone out, and the job is tried again a
    second later anyway, when its code may not be wanted any more.
    """

    service: str
    region: str
    clients: AwsClients

    @classmethod
    def to(cls, service: str, address: AwsAddress, *, endpoint_url: str) -> Self:
        """The way to `service`. Nothing is opened yet."""
        return cls(service, address.region, AwsClients(service, endpoint_url=endpoint_url, tries=1))

    def send(self, operation: str, *, refusals: frozenset[str], **arguments: Any) -> Delivery:
        """Make the call. REFUSED: AWS's word for what is wrong is among `refusals`, which lie in the message or its
        recipient; TRY_LATER: everything else, our own permissions and settings included.

        Reasons hold AWS's words for errors and no text of its answers, which often quote the recipient.
        """
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError
        from botocore.parsers import ResponseParserError

        try:
            answer = getattr(self.clients.client(self.region), operation)(**arguments)
        except ClientError as exc:
            code = str(exc.response.get("Error", {}).get("Code", ""))
            detail = str(exc.response.get("Reason", ""))
            status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            words = " ".join(word for word in (code, detail) if word.isidentifier()) or f"status {status}"
            reason = f"AWS {self.service} did not take the message ({words})"
            is_refused = bool({code, detail} & refusals)
            return Delivery.refused(reason) if is_refused else Delivery.try_later(reason)
        except (BotoCoreError, ResponseParserError) as exc:
            reason = f"AWS {self.service} cannot be reached or broke off ({type(exc).__name__})"
            # botocore's other errors are from before the request was out: no connection, no credentials.
            is_lost = isinstance(exc, HTTPClientError | IncompleteReadError | ResponseParserError)
            return Delivery.try_later(reason, maybe_taken=is_lost)
        if not answer.get("MessageId"):
            return Delivery.try_later(f"AWS {self.service} gave no receipt", maybe_taken=True)
        return DELIVERED
