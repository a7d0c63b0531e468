"""Nobody learns from the clock who exists (security.md LG-02, promise P13).

In the suite the work is counted: as many comparisons and statements, of the same form, whoever the address belongs to.
`make faults` also takes the time of 2,000 tries each, interleaved, at the shipped cost of a hash.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from math import exp
from typing import Any

from sqlalchemy import event, update
from werkzeug.test import Client

from authsvc.accounts.models import Account, User
from authsvc.app import create_app
from authsvc.crypto.passwords import Passwords
from authsvc.policy.values import Rate
from tests.support.rounds import FULL, rounds
from tests.support.service import Service, shipped_policies

WRONG = "not the password of anybody"
TRIES = rounds(5, 2_000)
_EVER = Rate(10**9, timedelta(days=1))
#: Everyday noise of a machine; the promise of LG-02.
CLOSEST, SAME = 0.005, 0.01


class Counted(Passwords):
    """Counts comparisons, and what they cost."""

    def __init__(self) -> None:
        super().__init__(memory_kib=8, iterations=1, parallelism=1)
        self.compared: list[list[str]] = []

    def verify(self, stored: str, password: str) -> bool:
        """Note the hash's parameters, and compare."""
        self.compared.append(stored.split("$")[1:4])
        return super().verify(stored, password)


def people(service: Service) -> dict[str, str]:
    """One address of each kind; whoever is locked used up the free tries."""
    account, closed = service.account(mfa="email"), service.account("closed")
    service.member(account, "real@northgate.example")
    service.member(account, "deactivated@northgate.example", active=False)
    service.member(account, "unverified@northgate.example", verified=False, phone=None)
    service.member(account, "invited@northgate.example", password=None, accepted=False, phone=None)
    service.member(closed, "closed@northgate.example")
    service.member(account, "locked@northgate.example")
    with service.services.database.transaction() as tx:
        tx.execute(update(Account).where(Account.id == closed.id).values(closed_at=service.clock.now()))
    kinds = ("real", "unknown", "deactivated", "unverified", "invited", "closed", "locked", "locked_unknown")
    return {kind: f"{kind}@northgate.example" for kind in kinds}


def knocker(service: Service) -> Callable[[str], int]:
    """Posts a wrong password for an address, each time from another network address; answers the status."""
    opened = service.person()
    form = opened.open("/sign-in").forms[0].fields
    cookies = "; ".join(f"{cookie.key}={cookie.value}" for cookie in opened.client._cookies.values())
    browser, number = Client(service.app, use_cookies=False), iter(range(10**9))

    def knock(email: str) -> int:
        one = next(number)
        return browser.post(
            "/sign-in",
            base_url=opened.issuer,
            data={**form, "email": email, "password": f"{WRONG} {one}"},
            headers={"Cookie": cookies},
            environ_base={"REMOTE_ADDR": f"10.{one >> 16 & 255}.{one >> 8 & 255}.{one & 255}"},
        ).status_code

    return knock


def lock(knock: Callable[[str], int], emails: dict[str, str]) -> None:
    """Use up the free tries of those who are to be locked."""
    for kind in ("locked", "locked_unknown"):
        for _ in range(10):
            knock(emails[kind])


@contextmanager
def statements(service: Service) -> Iterator[list[str]]:
    """The SQL that is sent meanwhile."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    engine = service.services.database.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_lg_02_a_wrong_password_is_the_same_work_for_everybody(service: Service) -> None:
    """Real, unknown, deactivated, unverified, invited, of a closed account: one comparison at one cost, the same statements.

    Who is locked costs what a locked address costs that nobody has: no comparison.
    """
    emails, passwords = people(service), Counted()
    service.app = create_app(replace(service.services, passwords=passwords))
    knock = knocker(service)
    lock(knock, emails)
    work: dict[str, tuple[int, list[list[str]], list[str]]] = {}
    for _ in range(2):  # the first round fills what is cached, and makes the rows of each counter
        for kind, email in emails.items():
            passwords.compared.clear()
            with statements(service) as sent:
                status = knock(email)
            work[kind] = status, [*passwords.compared], sent
    locked = [work.pop("locked"), work.pop("locked_unknown")]
    assert {kind: found for kind, found in work.items() if found != work["real"]} == {}
    assert (work["real"][0], len(work["real"][1])) == (401, 1)
    assert locked[0] == locked[1]
    assert (locked[0][0], locked[0][1]) == (429, [])


def test_lg_02_the_clock_tells_nobody_apart(service_with: Callable[..., Service]) -> None:
    """2,000 timed tries each, interleaved: medians less than 5 ms apart, and one distribution (Kolmogorov-Smirnov, p > 0.01).

    In the suite a few and at no cost, to keep what measures in order: no bound holds for so few.
    """
    shipped = shipped_policies()
    # So many tries for one person as nobody has: the pauses are not what is timed here.
    free = shipped.throttle.wrong_passwords.model_copy(update={"tries": 10**9, "stop_after": 10**9})
    wide = shipped.throttle.limits.model_copy(
        update=dict.fromkeys(("password_per_account", "password_everywhere", "same_password"), (_EVER,))
    )
    throttle = shipped.throttle.model_copy(update={"wrong_passwords": free, "limits": wide})
    service = service_with(policies=replace(shipped, throttle=throttle))
    emails = {kind: email for kind, email in people(service).items() if not kind.startswith("locked")}
    if FULL:
        costs = shipped.password.hash
        real = Passwords(memory_kib=costs.memory_kib, iterations=costs.iterations, parallelism=costs.parallelism)
        theirs = real.hash(WRONG)
        with service.services.database.transaction() as tx:
            tx.execute(update(User).where(User.password_hash.is_not(None)).values(password_hash=theirs))
        step = replace(service.services.password_step, dummy_hash=real.dummy)
        service.app = create_app(replace(service.services, passwords=real, password_step=step))
    knock = knocker(service)
    taken: dict[str, list[float]] = {kind: [] for kind in emails}
    for number in range(TRIES + 5):
        # Another order each time: what the round before left in caches is nobody's advantage.
        for kind in sorted(emails, key=lambda kind: hash((kind, number))):
            began = time.perf_counter()
            assert knock(emails[kind]) == 401
            if number >= 5:
                taken[kind].append(time.perf_counter() - began)
    middle = {kind: statistics.median(times) for kind, times in taken.items()}
    p = {kind: ks_p(taken["real"], times) for kind, times in taken.items()}
    for kind, times in taken.items():
        gap = (middle[kind] - middle["real"]) * 1000
        said = f"P13: {kind:12} {len(times)} tries, median {middle[kind] * 1000:.2f} ms, gap {gap:+.2f} ms, p {p[kind]:.3f}\n"
        sys.stdout.write(said)
    if FULL:
        assert {kind for kind, time in middle.items() if abs(time - middle["real"]) >= CLOSEST} == set()
        assert {kind for kind, chance in p.items() if chance <= SAME} == set()


def ks_p(left: list[float], right: list[float]) -> float:
    """How likely two samples of one distribution differ at least as much as these (two-sample Kolmogorov-Smirnov)."""
    apart, at_left, at_right = 0.0, 0, 0
    left, right = sorted(left), sorted(right)
    for value in sorted({*left, *right}):
        while at_left < len(left) and left[at_left] <= value:
            at_left += 1
        while at_right < len(right) and right[at_right] <= value:
            at_right += 1
        apart = max(apart, abs(at_left / len(left) - at_right / len(right)))
    size = (len(left) * len(right) / (len(left) + len(right))) ** 0.5
    scaled = (size + 0.12 + 0.11 / size) * apart
    if scaled < 0.2:
        return 1.0
    return min(1.0, max(0.0, 2 * sum((-1) ** (k - 1) * exp(-2 * k * k * scaled * scaled) for k in range(1, 101))))


def test_the_measure_tells_what_differs() -> None:
    """Published points of the Kolmogorov distribution, and samples that are one or are not."""
    even = [number / 1000 for number in range(1000)]
    assert ks_p(even, even) == 1.0
    assert ks_p(even, [value + 0.2 for value in even]) < 1e-9
    # D = 1.36 / sqrt(n / 2) is the 5 % point.
    shifted = [value + 1.36 / 500**0.5 for value in even]
    assert 0.03 < ks_p(even, shifted) < 0.07
