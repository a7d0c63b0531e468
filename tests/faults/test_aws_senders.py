"""Mail and text messages by AWS, over real HTTP: what arrives, what a refusal means, and gateways that misbehave."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_string, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import boto3
import pytest

from authsvc.app import bounce_chore
from authsvc.clock import FixedClock
from authsvc.errors import ConfigurationError
from authsvc.messaging.in_order import PAUSE_S, InOrder
from authsvc.messaging.message import DELIVERED, Delivery, Message, OnlyEmail, OnlyText, Outcome
from authsvc.messaging.senders import sender_for
from tests.support.aws import CREDENTIALS, REGION, TextGateway, moto_server, text_gateway
from tests.support.inbox import Inbox
from tests.support.processes import free_port
from tests.support.proxy import Mode, Proxy, proxy_to
from tests.support.service import DANA, Service, make_ring

FROM = "no-reply@ims.example"
MAIL = Message(
    channel="email",
    to="dana@northgate.example",
    purpose="sign_in_code",
    subject="481502 is your Northgate sign-in code",
    text="481502 für Ωmega\n",
    html="<p>481502 Ωmega</p>\n",
    sender_name="Northgate Capital Partners, LLC via IMS",
    created_at=datetime(2026, 11, 22, 21, 31, tzinfo=UTC),
)
TEXT = replace(MAIL, channel="sms", to="+15125550142", subject="", html="", sender_name="", text="481502 is your code")


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """Address of an AWS of this file that lets us send from our domain."""
    secrets = {name.lower(): value for name, value in CREDENTIALS.items() if "KEY" in name}
    with moto_server() as url:
        client = boto3.client("sesv2", endpoint_url=url, region_name=REGION, **secrets)
        client.create_email_identity(EmailIdentity="ims.example")
        yield url


@pytest.fixture(autouse=True)
def aws_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of nobody."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def gateway() -> Iterator[TextGateway]:
    """An End User Messaging that takes everything."""
    with text_gateway() as opened:
        yield opened


@pytest.fixture
def proxied(gateway: TextGateway) -> Iterator[Proxy]:
    """The way to it."""
    with proxy_to(("127.0.0.1", gateway.port)) as proxy:
        yield proxy


def by_eum(url: str, said: str = "") -> Any:
    return sender_for(f"eum:{REGION}{said}", email_from="", aws_endpoint_url=url)


def taken_by(aws: str, service: str, kind: str) -> list[dict[str, Any]]:
    """What the server took, as it remembers it."""
    with urllib.request.urlopen(f"{aws}/moto-api/data.json", timeout=10) as answer:
        found: list[dict[str, Any]] = json.load(answer)[service][kind]
    return found


def assert_says_nothing_private(delivery: Delivery) -> None:
    for private in ("dana", "northgate", "5125550142", "481502", "@"):
        assert private not in delivery.reason


def test_mail_by_ses_is_the_mail_of_any_other_sender_in_seven_bits(aws: str) -> None:
    """Headers are ours to the letter; the recipient is given beside the mail (RC-05); the trail of a retry is one id."""
    sender = sender_for("ses:?configuration_set=bounces", email_from=FROM, aws_endpoint_url=aws)
    assert [sender.send(MAIL), sender.send(MAIL)] == [DELIVERED, DELIVERED]

    first, second = taken_by(aws, "ses", "RawMessage")
    assert first["source"] == FROM
    assert set(first["destinations"]) == {"dana@northgate.example"}
    assert first["raw_data"].isascii()
    mail = message_from_string(first["raw_data"], policy=policy.default)
    assert isinstance(mail, EmailMessage)
    assert mail["From"] == '"Northgate Capital Partners, LLC via IMS" <no-reply@ims.example>'
    assert mail["Subject"] == MAIL.subject
    plain, html = mail.iter_parts()
    assert isinstance(plain, EmailMessage)
    assert isinstance(html, EmailMessage)
    assert plain.get_content().replace("\r\n", "\n") == MAIL.text
    assert html.get_content().replace("\r\n", "\n") == MAIL.html
    assert message_from_string(second["raw_data"])["Message-ID"] == mail["Message-ID"]


def test_mail_that_ses_will_not_take_is_refused(aws: str) -> None:
    """Success is never claimed for refused mail (security.md 4.4)."""
    delivery = sender_for("ses:", email_from="no-reply@other.example", aws_endpoint_url=aws).send(MAIL)
    assert delivery == Delivery.refused("AWS sesv2 did not take the message (MessageRejected)")


def test_a_text_by_sns_is_transactional_and_whole(aws: str) -> None:
    """The words arrive as they are; `from` chooses among the account's numbers, and keeps its plus."""
    sender = sender_for("sns:?from=+12065550100", email_from="", aws_endpoint_url=aws)
    assert sender.send(TEXT) == DELIVERED
    taken = [(sms["phone_number"], sms["message"]) for sms in taken_by(aws, "sns", "SMS")]
    assert (TEXT.to, TEXT.text) in taken


def test_a_text_by_end_user_messaging_says_what_was_set_up(gateway: TextGateway) -> None:
    """Transactional, from our identity, under our protect configuration, and not delivered days later."""
    said = "?from=+12065550100&configuration_set=codes&protect_configuration=protect-0123"
    assert by_eum(gateway.url, said).send(TEXT) == DELIVERED
    assert gateway.taken == [
        {
            "DestinationPhoneNumber": TEXT.to,
            "MessageBody": TEXT.text,
            "MessageType": "TRANSACTIONAL",
            "TimeToLive": 600,
            "OriginationIdentity": "+12065550100",
            "ConfigurationSetName": "codes",
            "ProtectConfigurationId": "protect-0123",
        }
    ]


@pytest.mark.parametrize(
    ("status", "body", "outcome", "word"),
    [
        (429, {"__type": "ThrottlingException", "Message": "slow"}, Outcome.TRY_LATER, "ThrottlingException"),
        (500, {"__type": "InternalServerException"}, Outcome.TRY_LATER, "InternalServerException"),
        (503, {}, Outcome.TRY_LATER, "status 503"),
        (
            400,
            {"__type": "ServiceQuotaExceededException", "Reason": "MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT"},
            Outcome.TRY_LATER,
            "MONTHLY_SPEND_LIMIT_REACHED_FOR_TEXT",
        ),
        (400, {"__type": "AccessDeniedException", "Reason": "ACCOUNT_DISABLED"}, Outcome.TRY_LATER, "ACCOUNT_DISABLED"),
        (
            400,
            {"__type": "ConflictException", "Reason": "DESTINATION_PHONE_NUMBER_OPTED_OUT", "Message": TEXT.to},
            Outcome.REFUSED,
            "OPTED_OUT",
        ),
        (
            400,
            {"__type": "ValidationException", "Reason": "DESTINATION_COUNTRY_BLOCKED", "Message": TEXT.to},
            Outcome.REFUSED,
            "BLOCKED",
        ),
        (
            400,
            {"__type": "ValidationException", "Reason": "INVALID_ARN", "Message": "the pool"},
            Outcome.TRY_LATER,
            "INVALID_ARN",
        ),
    ],
)
def test_what_lies_in_the_number_is_refused_and_what_lies_with_us_is_tried_again(
    gateway: TextGateway, status: int, body: dict[str, object], outcome: Outcome, word: str
) -> None:
    """security.md 4.4: SES and EUM timeouts, 5xx, throttling. Reasons are AWS's words and quote no number."""
    gateway.refusal = (status, body)
    delivery = by_eum(gateway.url).send(TEXT)
    assert (delivery.outcome, delivery.maybe_taken) == (outcome, False)
    assert word in delivery.reason
    assert_says_nothing_private(delivery)
    assert gateway.asked == 1, "boto3 does not send a second time by itself"


def test_p7_a_gateway_that_says_nothing_holds_nobody_for_more_than_five_seconds(
    gateway: TextGateway, proxied: Proxy
) -> None:
    """P7 (security.md 4.5); boto3's defaults would take 180 s. Whether it was taken, nobody knows."""
    sender = by_eum(f"http://127.0.0.1:{proxied.port}")
    assert sender.send(TEXT) == DELIVERED
    proxied.mode = Mode.BLACK_HOLE
    began = time.monotonic()
    delivery = sender.send(TEXT)
    assert time.monotonic() - began < 5
    assert delivery == Delivery.try_later(
        "AWS pinpoint-sms-voice-v2 cannot be reached or broke off (ReadTimeoutError)", maybe_taken=True
    )


@pytest.mark.parametrize("cut_after", [0, 40, 150])
def test_an_answer_that_is_cut_may_be_that_of_a_message_taken(
    gateway: TextGateway, proxied: Proxy, cut_after: int
) -> None:
    """Accept, then cut: nothing, half a header, half a body. Never said to be delivered (security.md 4.4)."""
    proxied.cut_after = cut_after
    delivery = by_eum(f"http://127.0.0.1:{proxied.port}").send(TEXT)
    assert (delivery.outcome, delivery.maybe_taken) == (Outcome.TRY_LATER, True), delivery
    assert len(gateway.taken) == 1
    assert_says_nothing_private(delivery)


def test_nobody_there_means_later(gateway: TextGateway) -> None:
    """A connection that is refused carried nothing."""
    delivery = by_eum(f"http://127.0.0.1:{free_port()}").send(TEXT)
    assert (delivery.outcome, delivery.maybe_taken) == (Outcome.TRY_LATER, False)


class Seconds:
    """A clock for pauses."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


LATER, LOST = Delivery.try_later("throttled"), Delivery.try_later("cut", maybe_taken=True)


@pytest.mark.parametrize(
    ("first", "second", "answer", "second_has"),
    [
        (DELIVERED, DELIVERED, DELIVERED, 0),
        (LATER, DELIVERED, DELIVERED, 1),
        (Delivery.refused("opted out"), DELIVERED, Delivery.refused("opted out"), 0),
        (LOST, DELIVERED, LOST, 0),
        (LATER, LATER, LATER, 0),
    ],
)
def test_the_second_gateway_is_asked_only_when_the_first_has_not_taken_the_message(
    first: Delivery, second: Delivery, answer: Delivery, second_has: int
) -> None:
    """Unreachable or throttled: the next one. Never after a send that was accepted, or may have been."""
    one, two = Inbox(answer=first), Inbox(answer=second)
    assert InOrder([one, two]).send(TEXT) == answer
    assert len(two.messages) == second_has


def test_a_gateway_that_failed_is_left_alone_for_a_while() -> None:
    """A dead first gateway costs its timeout once and not once a message; when it is back it is first again."""
    now, one, two = Seconds(), Inbox(answer=LOST), Inbox()
    sender = InOrder([one, two], monotonic=now)
    assert sender.send(TEXT) == LOST
    one.answer = DELIVERED
    assert sender.send(TEXT) == DELIVERED
    assert (len(one.messages), len(two.messages)) == (0, 1)
    now.now += PAUSE_S + 1
    assert sender.send(TEXT) == DELIVERED
    assert len(one.messages) == 1


def test_when_all_pause_somebody_is_asked_all_the_same() -> None:
    """A pause saves time; it never leaves a message unsent."""
    one, two = Inbox(answer=LATER), Inbox(answer=LATER)
    sender = InOrder([one, two], monotonic=Seconds())
    assert sender.send(TEXT) == LATER
    one.answer = DELIVERED
    assert sender.send(TEXT) == DELIVERED


def test_both_gateways_in_one_address(aws: str) -> None:
    """`eum:,sns:`: moto has no End User Messaging and answers 500, so SNS carries it."""
    sender = sender_for("eum:?from=pool-1,sns:", email_from="", aws_endpoint_url=aws)
    assert sender.send(replace(TEXT, to="+15125550143")) == DELIVERED
    assert "+15125550143" in [sms["phone_number"] for sms in taken_by(aws, "sns", "SMS")]


@pytest.mark.parametrize(
    "url",
    [
        "ses:?configuration_set",
        "ses:?configuration_set=",
        "ses:?set=a",
        "ses:?configuration_set=a&configuration_set=b",
        "ses:everywhere",
        "ses://us-east-1",
        "eum:us-east-1?form=+12065550100",
        "eum:,dir:var",
        "eum:,ses:",
        "sns:us-east-1?protect_configuration=x",
        "ses:,smtp://mail.example",
    ],
)
def test_a_wrong_aws_address_stops_the_start(url: str) -> None:
    """Better once, at the start, than at every message."""
    with pytest.raises(ConfigurationError):
        sender_for(url, email_from=FROM)


def test_an_aws_address_without_a_region_anywhere_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ses:` takes the region that boto3 is configured with, and there is none."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(ConfigurationError, match="needs a region"):
        sender_for("ses:", email_from=FROM)


def test_a_sender_carries_its_own_channel_only(aws: str) -> None:
    """A bug of ours, said loudly; and what is unsendable reaches no network."""
    for url, wrong, error in (("ses:", TEXT, OnlyEmail), ("sns:", MAIL, OnlyText), ("eum:", MAIL, OnlyText)):
        with pytest.raises(error):
            sender_for(url, email_from=FROM, aws_endpoint_url=aws).send(wrong)
    nowhere = f"http://127.0.0.1:{free_port()}"
    for url, bad in (
        ("ses:", replace(MAIL, subject="a\r\nBcc: x@y.example")),
        ("sns:", replace(TEXT, to="5125550142")),
        ("eum:", replace(TEXT, to="5125550142")),
    ):
        assert sender_for(url, email_from=FROM, aws_endpoint_url=nowhere).send(bad).outcome is Outcome.REFUSED


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_bounces_are_fetched_from_the_queue_and_written_down_once(
    service: Service, aws: str, database_url: str, ring_folder: Path, clock: FixedClock
) -> None:
    """The worker's chore; what is no report is dropped; a queue that is away is asked again later and stops nothing."""
    sqs = boto3.client("sqs", endpoint_url=aws)
    queue = sqs.create_queue(QueueName="bounces")["QueueUrl"]
    bounce = {"bounceType": "Permanent", "bounceSubType": "NoEmail", "bouncedRecipients": [{"emailAddress": DANA}]}
    for body in ("not json", json.dumps({"notificationType": "Bounce", "bounce": bounce})):
        sqs.send_message(QueueUrl=queue, MessageBody=body)
    given = {"ring": make_ring(ring_folder, clock), "clock": clock, "bounce_queue_url": queue}
    fetching = Service.on(database_url, aws_endpoint_url=aws, **given)
    [chore] = bounce_chore(fetching.services)
    chore.act()
    assert service.services.courier.suppressed(DANA)
    assert [row.fields["kind"] for row in service.events("address.suppressed")] == ["NoEmail"]
    counted = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    waiting = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    assert [counted[name] for name in waiting] == ["0", "0"]

    away = Service.on(database_url, aws_endpoint_url=f"http://127.0.0.1:{free_port()}", **given)
    [chore] = bounce_chore(away.services)
    chore.act()
    for one in (fetching, away):
        one.services.database.dispose()
