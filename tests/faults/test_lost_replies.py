"""Refreshing while every twentieth reply is cut (security.md 4.5, P3): one live leaf, and nobody is taken for a thief.

Clients with a family each call over TCP, through proxies that cut what comes back: nothing of it, half a header, half a
body. Each then sends the same token again, to the other replica. The suite refreshes 160 times, `make faults` 10,000.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from sqlalchemy import func, select

from authsvc.clock import FixedClock
from authsvc.oauth.models import RefreshToken, TokenFamily
from authsvc.policy.values import Rate
from tests.protocol.portal import Portal
from tests.support.pair import on_port, replicas_on
from tests.support.processes import free_port
from tests.support.proxy import Proxy, proxy_to
from tests.support.remote import NETWORK_TROUBLE
from tests.support.rounds import rounds
from tests.support.service import CLIENT_SECRET, ISSUER, Service, shipped_policies

CLIENTS = 4
CALLS = rounds(40, full=2_500)
#: One reply in so many is cut, after so many bytes.
EVERY, CUTS = 20, (0, 40, 700)


@dataclass
class Client:
    """One copy of the client: what it holds, and its way to the replicas."""

    proxy: Proxy
    ports: tuple[int, int]
    token: str
    number: int
    cut: int = 0

    def refresh_often(self) -> None:
        """CALLS times, at either replica in turn; a call without a whole answer is made again, once."""
        for call in range(CALLS):
            is_cut = call % EVERY == self.number
            at, other = self.ports if call % 2 else self.ports[::-1]
            self.proxy.cut_after = CUTS[(call // EVERY + self.number) % len(CUTS)] if is_cut else None
            try:
                self.token = self._call(at)
                assert not is_cut, "a reply arrived that was cut"
            except NETWORK_TROUBLE:
                assert is_cut, "a reply was lost that nobody cut"
                self.cut += 1
                self.proxy.cut_after = None
                self.token = self._call(other)

    def _call(self, port: int) -> str:
        self.proxy.target = ("127.0.0.1", port)
        with requests.Session() as http:
            http.trust_env = False
            answer = http.post(
                f"http://127.0.0.1:{self.proxy.port}/oauth/token",
                {"grant_type": "refresh_token", "refresh_token": self.token},
                headers={"Host": urlsplit(ISSUER).netloc},
                auth=("ims-portal", CLIENT_SECRET),
                timeout=30,
            )
            told = answer.json()
        assert answer.status_code == 200, told
        successor: str = told["refresh_token"]
        return successor


@pytest.fixture
def often() -> object:
    """The shipped policies, for a client that calls as often as it can."""
    shipped = shipped_policies()
    wide = shipped.throttle.limits.model_copy(update={"token_per_client": (Rate(10**9, timedelta(days=1)),)})
    return replace(shipped, throttle=shipped.throttle.model_copy(update={"limits": wide}))


@pytest.fixture
def way(
    database_url: str, clock: FixedClock, ring_folder: Path, often: object
) -> Iterator[tuple[Portal, list[Client]]]:
    """Two replicas on ports, and the clients, each with a family."""
    ports = free_port(), free_port()
    with ExitStack() as stack:
        both = stack.enter_context(replicas_on(database_url, ring_folder, clock, clock, policies=often))
        for replica, port in zip(both.both, ports, strict=True):
            stack.enter_context(on_port(replica, port))
        portal = Portal.on(both)
        tokens = [portal.tokens()["refresh_token"] for _ in range(CLIENTS)]
        proxies = [stack.enter_context(proxy_to(("127.0.0.1", ports[0]))) for _ in range(CLIENTS)]
        yield portal, [Client(proxies[n], ports, tokens[n], n) for n in range(CLIENTS)]


def live_leaves(service: Service) -> list[int]:
    """How many unused tokens each family has."""
    unused = select(TokenFamily.id, func.count(RefreshToken.digest)).outerjoin(
        RefreshToken, (RefreshToken.family_id == TokenFamily.id) & RefreshToken.consumed_at.is_(None)
    )
    with service.services.database.transaction(read_only=True) as tx:
        return [count for _, count in tx.execute(unused.group_by(TokenFamily.id))]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_promise_p3_a_cut_reply_costs_one_call_and_no_family(way: tuple[Portal, list[Client]]) -> None:
    """P3: 0 families with more than one live leaf, 0 false reuse alarms, with 5 % of the replies cut."""
    portal, clients = way
    service = portal.service
    service.at_once(*(partial(Client.refresh_often, client) for client in clients))

    leaves, cut = live_leaves(service), sum(client.cut for client in clients)
    alarms = len(service.events("token.refresh_reused")) + len(service.events("token.family_revoked"))
    print(  # noqa: T201 - the figure
        f"\nP3: {CLIENTS * CALLS} refreshes at 2 replicas, {cut} replies cut: {sum(count > 1 for count in leaves)} of"
        f" {len(leaves)} families with more than one live leaf, {alarms} false alarms"
    )
    assert leaves == [1] * CLIENTS
    assert alarms == 0
    assert cut == sum(len(range(client.number, CALLS, EVERY)) for client in clients)
    # That the server had acted before the reply was cut is what this is about.
    retries = [event.fields["retry"] for event in service.events("token.refreshed")]
    assert (retries.count(True), retries.count(False)) == (cut, CLIENTS * CALLS)
    assert all(portal.refresh(client.token).status_code == 200 for client in clients)
