"""Fetching what a client names: to the public internet only, whatever its author tries (security.md AZ-16, TN-15)."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authsvc.oauth.guarded_fetch import LARGEST_BODY, FetchFailed, GuardedFetch, is_public
from tests.support.client_site import ClientSite, client_site
from tests.support.mail_servers import Behaviour, bare_server, certificate, drip, hang_up, nonsense, serving, silence

NAME = "client.example"
PUBLIC = "198.41.0.4"

PRIVATE = [
    *("127.0.0.1", "127.8.8.8", "0.0.0.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
    *("100.100.100.200", "192.0.0.1", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
    *("192.88.99.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "168.63.129.16"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:a9fe:a9fe", "::7f00:1", "::ffff:0:127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:808:808::1"),
    *("2001::1", "2001:0:7f00:1::", "2001:db8::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1"),
    *("fe80::1%eth0", "2606:4700::1111%eth0", "fec0::1", "ff02::1", "ff0e::1", "100::1", "", "localhost", "1.2.3"),
]


def reason(fetch: GuardedFetch, url: str) -> str:
    """Why it is refused."""
    with pytest.raises(FetchFailed) as caught:
        fetch.get(url)
    return caught.value.reason


def at(*addresses: str, looked_up: list[str] | None = None) -> GuardedFetch:
    """A fetch whose look-ups answer these addresses."""

    def resolve(host: str) -> tuple[str, ...]:
        if looked_up is not None:
            looked_up.append(host)
        return addresses

    return GuardedFetch(resolve=resolve, timeout_s=0.5)


@pytest.fixture
def site() -> Iterator[ClientSite]:
    """A client's site over http."""
    with client_site() as running:
        yield running


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for NAME."""
    return certificate(tmp_path_factory.mktemp("tls"), host=NAME)


@pytest.mark.parametrize("address", PRIVATE)
def test_az16_what_is_not_on_the_public_internet_is_not_connected_to(address: str) -> None:
    """Loopback, private, link-local, shared, multicast, documentation; IPv4 inside IPv6; clouds' own hosts."""
    assert not is_public(address)
    assert reason(at(address), f"https://{NAME}/jwks") == "it leads to an address that is not public"


@pytest.mark.parametrize("address", ["198.41.0.4", "8.8.8.8", "2606:4700:4700::1111", "2a00:1450:4001::8a"])
def test_public_addresses_are_public(address: str) -> None:
    """Otherwise nothing would be fetched at all."""
    assert is_public(address)


@pytest.mark.parametrize(
    "others", [["127.0.0.1"], [PUBLIC, "10.0.0.1"], ["::1", PUBLIC], [PUBLIC, PUBLIC, "169.254.169.254"]]
)
def test_az16_one_private_address_among_public_ones_refuses_the_name(others: list[str]) -> None:
    """Else the order of the answers would decide, and that is the attacker's."""
    assert reason(at(*others), f"https://{NAME}/") == "it leads to an address that is not public"


def test_az16_a_name_is_looked_up_once_and_what_was_checked_is_connected_to(certificates: tuple[Path, Path]) -> None:
    """DNS rebinding: the second answer would be another one. The name stays in SNI, in Host and in the certificate check."""
    names: list[str | None] = []
    context = serving(*certificates)
    context.sni_callback = lambda _sock, name, _context: names.append(name)
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    trusting = ssl.create_default_context(cafile=certificates[0])
    fetch = GuardedFetch(allow_loopback=True, resolve=lambda _: next(answers), tls=trusting)
    with client_site(context) as site:
        site.publish("/jwks?v=1", {"keys": []})

        found = fetch.get(f"https://{NAME}:{site.port}/jwks?v=1")

        assert (found.status, found.content_type, found.body) == (200, "application/json", b'{"keys": []}')
        assert names == [NAME]
        assert site.asked[0].headers["Host"] == f"{NAME}:{site.port}"
        assert next(answers) == ["169.254.169.254"], "nobody has looked a second time"


def test_a_certificate_must_be_trusted_and_for_the_name(certificates: tuple[Path, Path]) -> None:
    """A pinned address is no reason to believe whoever listens there."""
    trusting = ssl.create_default_context(cafile=certificates[0])
    with client_site(serving(*certificates)) as site:
        site.answer("/", 200)
        for host, tls in ((NAME, None), ("other.example", trusting)):
            fetch = GuardedFetch(allow_loopback=True, resolve=lambda _: ["127.0.0.1"], tls=tls)
            assert reason(fetch, f"https://{host}:{site.port}/") == "no trusted certificate for its name"
        assert site.asked == []


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://client.example/",
            "ftp://client.example/",
            "gopher://client.example/",
            "file:///etc/passwd",
            "//x/y",
            "",
        ),
        *("https://", "https:///path", "https://client.example:99999/", "https://client.example:x/", "https://[::1"),
        *("https://user@client.example/", "https://user:pw@client.example/", "https://@client.example/"),
        *(
            "https://client.example/#f",
            "https://client.example\\@127.0.0.1/",
            "https://client.example /",
            " https://a.b/",
        ),
        *(
            "https://client.example/\r\nX: y",
            "https://cl\tient.example/",
            "https://client.example/\0",
            "https://clıent.example/",
        ),
        *("https://2130706433/", "https://0177.0.0.1/", "https://0x7f000001/", "https://0x7f.1/", "https://127.1/"),
        *("https://127.0.0.1./", "https://017700000001/", "https://1.2.3.4.5/", "https://a.0x10/", "https://%31/"),
        *("https://[fe80::1%25eth0]/", "https://[::ffff:127.0.0.1%0]/", "https://①②⑦.0.0.1/", "https://a..b@c/"),
        "https://client.example/" + "x" * 2000,
    ],
)
def test_az16_only_plain_https_addresses_are_looked_up(url: str) -> None:
    """Other schemes, user names, fragments, control characters, and hosts that are numbers in disguise."""
    looked_up: list[str] = []
    assert reason(at(PUBLIC, looked_up=looked_up), url) == "it is no plain https address"
    assert looked_up == []


@given(st.text(st.characters(), max_size=60))
def test_no_address_whatever_crashes(url: str) -> None:
    """One error, with a reason of ours."""
    for text in (url, f"https://{url}", f"https://client.example/{url}"):
        with pytest.raises(FetchFailed):
            at("10.0.0.1").get(text)


def test_loopback_is_for_the_development_switch_alone(site: ClientSite) -> None:
    """And then for loopback only: nothing else becomes reachable, and http nowhere else."""
    address = site.publish("/jwks", {"keys": []})
    assert reason(GuardedFetch(), address) == "it is no plain https address"
    assert reason(GuardedFetch(), address.replace("http:", "https:")) == "it leads to an address that is not public"
    open_one = GuardedFetch(allow_loopback=True)
    assert open_one.get(address).status == 200
    for other in ("10.0.0.1", "169.254.169.254"):
        assert reason(open_one, f"http://{other}/") == "it leads to an address that is not public"
    elsewhere = GuardedFetch(allow_loopback=True, resolve=lambda _: ["127.0.0.1", "10.0.0.1"])
    assert reason(elsewhere, f"http://{NAME}/") == "it leads to an address that is not public"
    public = GuardedFetch(allow_loopback=True, resolve=lambda _: [PUBLIC])
    assert reason(public, f"http://{NAME}/") == "it is no plain https address"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 300, 304, 400, 401, 404, 500, 503])
def test_az16_a_redirect_is_not_followed_and_nothing_but_success_counts(site: ClientSite, status: int) -> None:
    """It would lead to an address that nobody has checked."""
    site.publish("/secret", {})
    address = site.answer("/jwks", status, b"", Location=f"{site.url}/secret")
    fetch = GuardedFetch(allow_loopback=True)
    assert reason(fetch, address) == f"it answered with status {status}"
    with pytest.raises(FetchFailed, match=f"status {status}"):
        fetch.post(address, {})
    assert {asked.path for asked in site.asked} == {"/jwks"}


def test_az16_a_large_answer_is_not_read_to_its_end(site: ClientSite) -> None:
    """64 KB and not a byte more, whatever the length says; and no bomb is unpacked."""
    fetch = GuardedFetch(allow_loopback=True)
    whole = fetch.get(site.answer("/whole", 200, b"x" * LARGEST_BODY))
    assert len(whole.body) == LARGEST_BODY
    assert reason(fetch, site.answer("/more", 200, b"x" * (LARGEST_BODY + 1))) == "its answer is too large"
    assert reason(fetch, site.answer("/bomb", 200, b"x", Content_Encoding="gzip")) == "its answer is compressed"


def endless(connection: socket.socket, is_over: threading.Event) -> None:
    """A body without a length that never ends."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while not is_over.is_set():
        connection.sendall(b"x" * 8192)


def dripping_headers(connection: socket.socket, is_over: threading.Event) -> None:
    """A byte of a header every 20 ms: no single wait is long."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not is_over.wait(0.02):
        connection.sendall(b"x")


def dripping_body(connection: socket.socket, is_over: threading.Event) -> None:
    """The same in the body."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
    while not is_over.wait(0.02):
        connection.sendall(b"x")


@pytest.mark.parametrize(
    ("behave", "said"),
    [
        (silence, "it was too slow"),
        (drip, "it was too slow"),
        (dripping_headers, "it was too slow"),
        (dripping_body, "it was too slow"),
        (endless, "its answer is too large"),
        (hang_up, "its answer is no HTTP"),
        (nonsense, "it answered with status 400"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_az16_no_host_holds_a_thread_longer_than_the_deadline(behave: Behaviour, said: str, scheme: str) -> None:
    """Look-up, connection, handshake, headers and body in one time (PL-02)."""
    with bare_server(behave) as port:
        began = time.monotonic()
        found = reason(GuardedFetch(allow_loopback=True, timeout_s=0.3), f"{scheme}://127.0.0.1:{port}/")
        assert time.monotonic() - began < 2
    assert found == said or (scheme == "https" and found in ("no trusted certificate for its name", "it was too slow"))


def test_a_look_up_that_hangs_is_not_waited_for() -> None:
    """The resolver has time-outs of its own, and they are long."""
    answered = threading.Event()
    fetch = GuardedFetch(resolve=lambda _: [PUBLIC] if answered.wait(20) else [], timeout_s=0.1)
    began = time.monotonic()
    assert reason(fetch, f"https://{NAME}/") == "it was too slow"
    assert time.monotonic() - began < 2
    answered.set()


def test_a_name_that_is_not_there_is_said_so() -> None:
    """And what the resolver raised is not."""

    def nobody(host: str) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    assert reason(GuardedFetch(resolve=nobody), f"https://{NAME}/") == "no such host"
    assert reason(at(), f"https://{NAME}/") == "no such host"


def test_a_second_address_is_tried_when_the_first_refuses(site: ClientSite) -> None:
    """As any browser does; all of them were checked before."""
    site.answer("/", 200)
    fetch = GuardedFetch(allow_loopback=True, resolve=lambda _: ["::1", "127.0.0.1"])
    assert fetch.get(f"http://localhost:{site.port}/").status == 200
    gone = GuardedFetch(allow_loopback=True, resolve=lambda _: ["::1"])
    assert reason(gone, f"http://localhost:{site.port}/") == "the connection failed"


def test_a_form_is_posted_and_its_answer_is_not_read(site: ClientSite) -> None:
    """Back-Channel Logout 2.5: application/x-www-form-urlencoded. What a page answers with 200 does not matter."""
    address = site.answer("/logout", 200, b"x" * (LARGEST_BODY * 2))

    assert GuardedFetch(allow_loopback=True).post(address, {"logout_token": "a.b.c"}).status == 200

    [asked] = site.asked
    assert (asked.method, asked.form()) == ("POST", {"logout_token": "a.b.c"})
    assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_no_proxy_of_the_environment_is_asked(site: ClientSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would resolve the name for itself, behind our check."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert GuardedFetch(allow_loopback=True).get(site.answer("/", 200)).status == 200
