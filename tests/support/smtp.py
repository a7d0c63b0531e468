"""A mail server whose letters the test reads."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.support.processes import free_port, poll


class SmtpSink:
    """Takes every letter on a port of 127.0.0.1 and delivers none.

    `answer` is what a sender hears after each letter; anything but a 2xx answer refuses the letter.
    """

    def __init__(self) -> None:
        self.answer = "250 OK"
        self._letters: list[tuple[list[str], EmailMessage]] = []
        self._handed_out: list[EmailMessage] = []
        # A name of its own: else the server asks the resolver for one.
        self._server = Controller(self, hostname="127.0.0.1", port=free_port(), server_hostname="localhost")

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.port)

    @property
    def url(self) -> str:
        """Value for AUTHSVC_EMAIL_URL."""
        return f"smtp://127.0.0.1:{self.port}?tls=none"

    @property
    def messages(self) -> list[EmailMessage]:
        """All letters taken so far, oldest first."""
        return [letter for _, letter in self._letters]

    def wait_for(self, to: str, deadline_s: float = 10.0) -> EmailMessage:
        """The oldest letter to `to` that no earlier call returned, so a second code is never mistaken for the first."""

        def next_letter() -> EmailMessage | None:
            for recipients, letter in list(self._letters):
                if to in recipients and all(letter is not known for known in self._handed_out):
                    return letter
            return None

        letter = poll(next_letter, deadline_s, what=f"a letter to {to}")
        assert letter is not None
        self._handed_out.append(letter)
        return letter

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Called by the server for each letter, in its own thread."""
        if self.answer.startswith("2"):
            assert isinstance(envelope.content, bytes)
            letter = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(letter, EmailMessage)
            self._letters.append((list(envelope.rcpt_tos), letter))
        return self.answer

    def start(self) -> None:
        """Listen."""
        self._server.start()

    def stop(self) -> None:
        """Stop listening; also what a test of a dead mail server calls."""
        self._server.stop(no_assert=True)
