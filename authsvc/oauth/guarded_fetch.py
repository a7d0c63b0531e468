"""Every fetch that a client's metadata causes: to public addresses only, pinned, short and small (security.md AZ-16).

Whoever registers a client chooses where we connect to: a `jwks_uri` at the cloud's metadata service or at a neighbour
behind our firewall must lead nowhere, also when the name points there only the second time it is looked up.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPConnection, HTTPException, HTTPResponse
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlencode, urlsplit

from authsvc.errors import AuthsvcError, Kind

TIMEOUT_S = 3.0
LARGEST_BODY = 64 * 1024
LONGEST_ADDRESS = 2000

#: Host in; its addresses out. Raises: OSError.
Resolve = Callable[[str], Sequence[str]]

_ADDRESS = re.compile(r"[\x21-\x5b\x5d-\x7e]+")  # urlsplit drops tabs and line breaks; a backslash is a slash to some
_HOST = re.compile(r"[a-z0-9._-]{1,253}")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_GLOBAL_UNICAST = ip_network("2000::/3")
#: What `is_global` calls public and is not: relays, translators and tunnels that lead to any IPv4 address, one cloud's
#: internal host on an address of its own, and what newer registries have set aside.
_NOT_PUBLIC = tuple(
    map(
        ip_network,
        (
            *("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32"),
            *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
        ),
    )
)

#: Names that no public resolver answers for (RFC 6761, 6762, 8375; ICANN's .internal), and clouds' own.
_INTERNAL = (".local", ".localhost", ".internal", ".home.arpa", ".lan", ".svc")


class FetchFailed(AuthsvcError):
    """A client's address could not be fetched."""

    kind = Kind.REFUSED

    def __init__(self, reason: str) -> None:
        """`reason`: a few words of ours, never of the other side's; for the trail, receipts and operators."""
        super().__init__(f"A client's address could not be fetched: {reason}.")
        self.reason = reason


@dataclass(frozen=True)
class Fetched:
    """A 2xx answer."""

    status: int
    content_type: str
    body: bytes


def is_public(address: str) -> bool:
    """Whether `address` is a host on the public internet, whichever way it is written."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    if not ip.is_global or ip.is_multicast or ip.is_reserved or ip.is_link_local or ip.is_private:
        return False
    if isinstance(ip, IPv6Address) and (ip not in _GLOBAL_UNICAST or ip.scope_id is not None):
        return False  # mapped and compatible IPv4, 64:ff9b::/96 (NAT64), unique and site local all lie outside 2000::/3
    return not any(ip in network for network in _NOT_PUBLIC if network.version == ip.version)


def resolve(host: str) -> list[str]:
    """The addresses of `host`, as the machine looks them up. Raises: OSError."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


class GuardedFetch:
    """GET and POST to addresses that clients have registered. Never call it inside a transaction."""

    def __init__(
        self,
        *,
        allow_loopback: bool = False,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """`allow_loopback`: development; clients on this machine, also by http."""
        self.allow_loopback = allow_loopback
        self._resolve, self._given_tls, self._timeout_s = resolve, tls, timeout_s

    def get(self, url: str, *, accept: str = "application/json") -> Fetched:
        """The answer, if it is 2xx. Raises: FetchFailed."""
        return self._fetch("GET", url, {"Accept": accept}, None)

    def post(self, url: str, form: Mapping[str, str]) -> Fetched:
        """The answer to a form, if it is 2xx. Raises: FetchFailed."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._fetch("POST", url, headers, urlencode(form).encode())

    def check(self, url: str) -> None:
        """Whether it could ever be fetched, for whoever registers it: without a look-up. Raises: FetchFailed."""
        parts, host = self._read(url)
        name = host.rstrip(".")
        if _is_address(host):
            public, loopback = is_public(host), _is_loopback(host)
        else:
            loopback = name == "localhost" or name.endswith(".localhost")
            public = "." in name and not name.endswith(_INTERNAL)
        if not public and not (self.allow_loopback and loopback):
            raise FetchFailed("it leads to an address that is not public")
        if parts.scheme == "http" and not loopback:
            raise FetchFailed("it is no plain https address")

    def _fetch(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Fetched:
        deadline = time.monotonic() + self._timeout_s
        parts, host = self._read(url)
        addresses = self._addresses(parts, host, deadline)
        try:
            with self._connected(parts, host, addresses, deadline) as sock, _cut_at(deadline, sock) as was_cut:
                try:
                    return _exchange(sock, method, parts, headers, body, deadline)
                except TimeoutError:
                    raise  # the socket's own, when it comes first
                except (HTTPException, OSError, ValueError) as exc:
                    if was_cut.is_set():
                        raise TimeoutError from exc
                    raise FetchFailed("its answer is no HTTP") from exc
        except TimeoutError as exc:
            raise FetchFailed("it was too slow") from exc

    def _read(self, url: str) -> tuple[SplitResult, str]:
        """The parts and the host. Raises: FetchFailed for anything but a plain https address."""
        refused = FetchFailed("it is no plain https address")
        if len(url) > LONGEST_ADDRESS or not _ADDRESS.fullmatch(url):
            raise refused
        try:
            parts = urlsplit(url)
            host, _ = (parts.hostname or "").lower(), parts.port
        except ValueError as exc:
            raise refused from exc
        if parts.scheme not in ("https", *(["http"] if self.allow_loopback else [])) or not host:
            raise refused
        if parts.username is not None or parts.password is not None or parts.fragment:
            raise refused
        if not _is_plain_host(host):
            raise refused
        return parts, host

    def _addresses(self, parts: SplitResult, host: str, deadline: float) -> list[str]:
        """Where to connect to, every one of them checked: a name with one private address among public ones is an attack."""
        found = [host] if _is_address(host) else self._look_up(host, deadline)
        loopback = self.allow_loopback and all(_is_loopback(address) for address in found)
        if not found or (not loopback and not all(is_public(address) for address in found)):
            raise FetchFailed("it leads to an address that is not public")
        if parts.scheme == "http" and not loopback:
            raise FetchFailed("it is no plain https address")
        return found[:4]

    def _look_up(self, host: str, deadline: float) -> list[str]:
        """Once: what is connected to is what was checked (DNS rebinding). In a thread, for a look-up knows no time-out."""
        found: list[str] = []
        looking = threading.Thread(target=self._into, args=(found, host), daemon=True)
        looking.start()
        looking.join(max(0.0, deadline - time.monotonic()))
        if looking.is_alive():
            raise FetchFailed("it was too slow")
        if not found:
            raise FetchFailed("no such host")
        return found

    def _into(self, found: list[str], host: str) -> None:
        with suppress(OSError, UnicodeError):
            found += self._resolve(host)

    def _connected(self, parts: SplitResult, host: str, addresses: list[str], deadline: float) -> socket.socket:
        """A connection to the first address that answers, with the name in SNI and in the certificate."""
        port = parts.port or {"https": 443, "http": 80}[parts.scheme]
        for address in addresses:
            try:
                sock = socket.create_connection((address, port), timeout=_left(deadline))
            except TimeoutError:
                raise
            except OSError:
                continue
            if parts.scheme == "http":
                return sock
            try:
                sock.settimeout(_left(deadline))  # a handshake counts it from its own beginning, and as a whole
                return self._tls.wrap_socket(sock, server_hostname=host)
            except TimeoutError:
                sock.close()
                raise
            except (OSError, ValueError) as exc:
                sock.close()
                raise FetchFailed("no trusted certificate for its name") from exc
        raise FetchFailed("the connection failed")

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._given_tls or ssl.create_default_context()


def _exchange(
    sock: socket.socket,
    method: str,
    parts: SplitResult,
    headers: dict[str, str],
    body: bytes | None,
    deadline: float,
) -> Fetched:
    """Send and read on an open connection."""
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    ours = {"Host": parts.netloc, "Accept-Encoding": "identity", "User-Agent": "authsvc", "Connection": "close"}
    with closing(HTTPConnection(parts.hostname or "", timeout=_left(deadline))) as connection:
        connection.sock = sock  # http.client opens none of its own, and looks at no proxy
        connection.request(method, target, body=body, headers=ours | headers)
        with connection.getresponse() as response:
            if not 200 <= response.status < 300:
                # A redirect as well: it would lead to where nobody has looked.
                raise FetchFailed(f"it answered with status {response.status}")
            content = b"" if method == "POST" else _content(response)
            kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            return Fetched(response.status, kind, content)


def _content(response: HTTPResponse) -> bytes:
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise FetchFailed("its answer is compressed")
    content = bytearray()
    while chunk := response.read1(16_384):
        content += chunk
        if len(content) > LARGEST_BODY:
            raise FetchFailed("its answer is too large")
    return bytes(content)


@contextmanager
def _cut_at(deadline: float, sock: socket.socket) -> Iterator[threading.Event]:
    """Cuts the connection at the deadline: a socket's own time-out begins anew with every byte that drips in, in the
    headers as well."""
    was_cut = threading.Event()

    def cut() -> None:
        was_cut.set()
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    watch = threading.Timer(_left(deadline), cut)
    watch.daemon = True
    watch.start()
    try:
        yield was_cut
        if was_cut.is_set():
            raise TimeoutError
    finally:
        watch.cancel()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _is_plain_host(host: str) -> bool:
    """A name, or an address in its one ordinary form: 2130706433, 0177.0.0.1 and 127.1 are addresses in disguise."""
    if ":" in host:
        return "%" not in host and _is_address(host)
    if not _HOST.fullmatch(host):
        return False
    return _is_address(host) or not _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2])


def _is_address(host: str) -> bool:
    try:
        return isinstance(ip_address(host), IPv4Address | IPv6Address)
    except ValueError:
        return False


def _is_loopback(address: str) -> bool:
    return _is_address(address) and ip_address(address).is_loopback
