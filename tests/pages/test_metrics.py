"""What a sign-in leaves in the metrics: every step, and nobody's name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from prometheus_client import generate_latest

from authsvc.audit import Event
from authsvc.metrics import Metrics
from authsvc.metrics.measured import Measured
from tests.support.service import DANA, DANAS_PHONE, PASSWORD, Service, pkce


@pytest.fixture
def service(service_with: Callable[[], Service]) -> Service:
    """One of this test alone: what is counted is counted for as long as a process lives."""
    return service_with()


def shown(service: Service) -> str:
    """What a scrape would read."""
    return "".join(generate_latest(replica.metrics.registry).decode() for replica in service.replicas)


def value(service: Service, name: str, **labels: str) -> float:
    """One series, as Prometheus sums it over replicas; 0 where it is not there."""
    return sum(replica.metrics.registry.get_sample_value(name, labels) or 0.0 for replica in service.replicas)


def test_each_step_of_a_sign_in_is_counted_once_it_is_committed(service: Service) -> None:
    """By the audit events of the acts themselves, and by route templates: no label names a person, account or address."""
    account = service.account(mfa="email+sms")
    member = service.member(account)
    service.client()
    verifier, challenge = pkce()
    dana = service.person()
    dana.open("/oauth/authorize", **service.authorization_request(challenge, account="northgate"))
    dana.submit(email=DANA, password="something else altogether")
    dana.submit(email="nobody@northgate.example", password=PASSWORD)
    dana.submit(email=DANA, password=PASSWORD)
    dana.submit(method="sms")
    code = service.code_for(DANAS_PHONE)
    dana.submit(code="000000" if code != "000000" else "000001")
    dana.submit(code=code)
    service.redeem(dana, verifier)
    service.machine().open("/reset/a-secret-of-a-link", method="BREW", base_url=service.services.settings.issuer)

    steps = {
        result: value(service, "authsvc_sign_in_steps_total", step="password", result=result)
        for result in ("wrong", "unknown_person")
    }
    assert steps == {"wrong": 1, "unknown_person": 1}
    assert value(service, "authsvc_sign_in_steps_total", step="session", result="two-factor") == 1
    of_code = {"channel": "sms", "purpose": "sign_in"}
    for result in ("requested", "sent", "wrong", "accepted"):
        assert value(service, "authsvc_codes_total", **of_code, result=result) == 1, result
    assert value(service, "authsvc_audit_events_total", event="token.issued") == 1
    assert value(service, "authsvc_jobs_total", kind="send_code", result="done") == 1
    of_page = {"route": "/sign-in", "method": "POST"}
    assert value(service, "authsvc_http_request_duration_seconds_count", **of_page, status="3xx") >= 1
    assert (
        value(
            service, "authsvc_http_request_duration_seconds_count", route="/reset/<token>", method="other", status="4xx"
        )
        + value(service, "authsvc_http_request_duration_seconds_count", route="unmatched", method="other", status="4xx")
        == 1
    )

    service.services.metrics.registry.register(Measured(service.services))
    text = shown(service)
    for secret in (
        DANA,
        "nobody@",
        DANAS_PHONE,
        code,
        PASSWORD,
        member.user_id,
        account.id,
        "northgate",
        "a-secret",
        "198.51.100.7",
        "ims-portal",
        verifier,
    ):
        assert secret not in text, secret
    assert "authsvc_jobs_due 0.0" in text


def test_what_is_rolled_back_is_not_counted(service: Service) -> None:
    """The observer hears of an event when its transaction is committed."""
    s = service.services

    def act() -> None:
        with s.database.transaction() as tx:
            s.audit.record(tx, Event.SESSION_ENDED, reason="signed_out")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        act()
    assert value(service, "authsvc_audit_events_total", event="session.ended") == 0


def test_no_text_of_a_client_makes_a_new_series() -> None:
    """What is not in the closed list of its label is `other`; a class of status takes the place of the number."""
    metrics = Metrics()
    for number in range(50):
        metrics.answered(f"BREW{number}", "/sign-in", 200 + number, 0.01)
        about = {"channel": f"pigeon{number}", "purpose": f"p{number}", "reason": f"r{number}", "limit": f"l{number}"}
        for event in (Event.CODE_WRONG, Event.PASSWORD_WRONG, Event.SIGN_IN_THROTTLED, Event.SESSION_STARTED):
            metrics.seen(event, {**about, "acr": f"urn:{number}"})
    names = [sample.labels for family in metrics.registry.collect() for sample in family.samples]
    assert {label for labels in names for label in labels.values() if label.strip("0123456789.+Inf")} == {
        *("other", "/sign-in", "2xx", "password", "session"),
        *("code.wrong", "password.wrong", "sign_in.throttled", "session.started"),
    }


def test_a_key_that_is_overdue_and_a_queue_without_a_worker_are_seen(service: Service) -> None:
    """Read at the scrape, so that a worker that is gone is seen by what it leaves undone."""
    service.member(service.account(mfa="email"))
    service.sign_in(service.person())
    service.services.metrics.registry.register(Measured(service.services))
    assert value(service, "authsvc_key_rotation_in_seconds", algorithm="ES256") > 0
    service.pass_time(days=400)
    assert value(service, "authsvc_key_rotation_in_seconds", algorithm="ES256") < 0
    assert value(service, "authsvc_key_age_seconds", algorithm="RS256") >= 400 * 86400
    assert value(service, "authsvc_jobs_due") == 1
    assert value(service, "authsvc_jobs_due_seconds") == 400 * 86400
    assert value(service, "authsvc_audit_unsealed_seconds") == 400 * 86400
    assert value(service, "authsvc_not_ready", reason="clock") == 1
