"""Bounces and complaints, as Amazon SES puts them into an SQS queue: AUTHSVC_BOUNCE_QUEUE_URL.

Fetched, not received: nothing of ours is open to the outside for it, and who may write into the queue is IAM's business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from authsvc import logs
from authsvc.accounts.suppression import Reason, Suppressions
from authsvc.aws import AwsClients
from authsvc.db import Database
from authsvc.messaging.message import is_one_address

#: Messages of one call, SQS's most, and calls of one round: a flood does not keep the worker from its jobs.
BATCH, ROUNDS = 10, 20
_REGION = re.compile(r"\Ahttps?://sqs\.([a-z0-9-]+)\.")

log = logs.logger(__name__)


@dataclass(frozen=True)
class Report:
    """What one message says: nothing is to be mailed to this address."""

    address: str
    reason: Reason
    kind: str


@dataclass(frozen=True)
class BounceQueue:
    """Empties the queue into the list of suppressed addresses."""

    url: str
    clients: AwsClients
    database: Database
    suppressions: Suppressions

    def __call__(self) -> None:
        """Take what is there. A queue that cannot be reached is asked again at the next round."""
        from botocore.exceptions import BotoCoreError, ClientError

        found = _REGION.match(self.url)
        try:
            sqs = self.clients.client(found[1] if found else "")
            for _ in range(ROUNDS):
                messages = sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=BATCH).get("Messages", [])
                for message in messages:
                    self._take(message)
                    # Deleted once it is written down: whoever dies in between takes it again, which changes nothing.
                    sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
                if not messages:
                    return
        except (BotoCoreError, ClientError) as exc:
            log.error("bounces.queue_unavailable", reason=type(exc).__name__)

    def _take(self, message: dict[str, Any]) -> None:
        try:
            reports = list(read(message["Body"]))
        except (ValueError, TypeError, KeyError, AttributeError) as exc:
            # It is dropped: it would come back for ever, and says nothing that we can read.
            log.error("bounces.unreadable", message_id=str(message.get("MessageId"))[:64], reason=type(exc).__name__)
            return
        for report in reports:
            with self.database.transaction() as tx:
                self.suppressions.add(tx, report.address, reason=report.reason, kind=report.kind)


def read(body: str) -> Iterator[Report]:
    """The addresses of one message: from SES straight, or wrapped by an SNS topic. Passing bounces and other events: none.

    Raises: ValueError, TypeError, KeyError, AttributeError when it is neither.
    """
    told = json.loads(body)
    if "Message" in told:
        told = json.loads(told["Message"])
    match told.get("eventType") or told["notificationType"]:
        case "Bounce" if told["bounce"]["bounceType"] == "Permanent":
            yield from _addresses(
                told["bounce"]["bouncedRecipients"], "bounce", str(told["bounce"].get("bounceSubType", ""))
            )
        case "Complaint":
            yield from _addresses(
                told["complaint"]["complainedRecipients"],
                "complaint",
                str(told["complaint"].get("complaintFeedbackType") or ""),
            )


def _addresses(recipients: list[dict[str, str]], reason: Reason, kind: str) -> Iterator[Report]:
    word = kind if re.fullmatch(r"[A-Za-z-]{1,40}", kind) else ""
    for recipient in recipients:
        if is_one_address(recipient["emailAddress"]):
            yield Report(recipient["emailAddress"], reason, word)
