"""Mail servers for the SMTP sender: one that refuses by address, and ones that misbehave. Certificates for them."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_address
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.processes import free_port

Behaviour = Callable[[socket.socket, threading.Event], None]


@dataclass
class Inbox:
    """A mail server's handler: keeps what it took, and refuses by the first part of the address."""

    taken: list[Envelope] = field(default_factory=list, repr=False)
    tls_of: list[bool] = field(default_factory=list, repr=False)
    greeted_by: list[str] = field(default_factory=list, repr=False)
    logins: list[LoginPassword] = field(default_factory=list)

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("unwelcome"):
            return "553 5.7.1 not your address"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("gone"):
            return f"550 5.1.1 <{address}> no such user"
        if address.startswith("greylisted"):
            return f"451 4.7.1 <{address}> come back later"
        if address.startswith("closing"):
            return "421 4.3.2 shutting down"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if envelope.rcpt_tos[0].startswith("spam"):
            return "554 5.7.1 this looks like spam 481502"
        if envelope.rcpt_tos[0].startswith("full"):
            return "452 4.3.1 no room"
        self.taken.append(envelope)
        self.greeted_by.append(str(session.host_name))
        self.tls_of.append(session.ssl is not None)
        return "250 OK"

    def mail(self) -> EmailMessage:
        """The one message taken, as a mail program reads it."""
        [envelope] = self.taken
        return parsed(envelope)

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data)
        return AuthResult(success=data.password == b"p@ss:word/1", handled=False)


def parsed(envelope: Envelope) -> EmailMessage:
    assert isinstance(envelope.content, bytes)
    mail = message_from_bytes(envelope.content, policy=default)
    assert isinstance(mail, EmailMessage)
    return mail


@contextmanager
def mail_server(**options: ssl.SSLContext) -> Iterator[tuple[Inbox, int]]:
    inbox = Inbox()
    controller = Controller(
        inbox,
        hostname="127.0.0.1",
        port=free_port(),
        loop=None,
        server_hostname="localhost",  # else it asks the resolver for one
        authenticator=inbox.authenticate,
        **options,
    )
    controller.start()
    try:
        yield inbox, controller.port
    finally:
        controller.stop()


@contextmanager
def bare_server(behave: Behaviour) -> Iterator[int]:
    """A server that accepts one connection and then does whatever `behave` does, until the test is over."""
    is_over = threading.Event()

    def run() -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                behave(connection, is_over)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            is_over.set()
            thread.join(timeout=10)


def silence(connection: socket.socket, is_over: threading.Event) -> None:
    is_over.wait(30)


def drip(connection: socket.socket, is_over: threading.Event) -> None:
    """A byte of an endless greeting every 50 ms, so that no single wait of the client is long."""
    while not is_over.wait(0.05):
        connection.sendall(b"220-slow\r\n"[:1])


def nonsense(connection: socket.socket, is_over: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    is_over.wait(30)


def hang_up(connection: socket.socket, is_over: threading.Event) -> None:
    """Closes at once."""


def not_now(connection: socket.socket, is_over: threading.Event) -> None:
    connection.sendall(b"554 5.3.2 not today\r\n")
    is_over.wait(30)


def cut_after_data(connection: socket.socket, is_over: threading.Event) -> None:
    """Takes the whole mail and dies before it says so."""
    lines = connection.makefile("rb")
    connection.sendall(b"220 ready\r\n")
    for line in lines:
        if line == b".\r\n":
            return
        if line.upper().startswith(b"DATA"):
            connection.sendall(b"354 go on\r\n")
        elif line[:4].upper() in (b"EHLO", b"MAIL", b"RCPT"):
            connection.sendall(b"250 OK\r\n")


def no_farewell(connection: socket.socket, is_over: threading.Event) -> None:
    """Takes the mail, says so, and never answers QUIT."""
    lines = connection.makefile("rb")
    connection.sendall(b"220 ready\r\n")
    for line in lines:
        if line.upper().startswith(b"DATA"):
            connection.sendall(b"354 go on\r\n")
        elif line[:4].upper() in (b"EHLO", b"MAIL", b"RCPT") or line == b".\r\n":
            connection.sendall(b"250 OK\r\n")
        elif line.upper().startswith(b"QUIT"):
            is_over.wait(30)
            return


def certificate(folder: Path, *, host: str) -> tuple[Path, Path]:
    """A self-signed certificate for an address or a name, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    issued = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_alternative(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / f"{host}.crt", folder / f"{host}.key"
    public.write_bytes(issued.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return public, private


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def serving(public: Path, private: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context
