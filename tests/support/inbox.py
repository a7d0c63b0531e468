"""Messages as a person would read them, kept in memory."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from authsvc.messaging.message import DELIVERED, Delivery, Message

CODE = re.compile(r"(?<!\d)\d{6}(?!\d)")


@dataclass
class Inbox:
    """A sender that keeps what it is given. `answer`: what it says to the next messages."""

    messages: list[Message] = field(default_factory=list)
    answer: Delivery = DELIVERED

    def send(self, message: Message) -> Delivery:
        """Keep it, unless told to refuse."""
        if self.answer is DELIVERED:
            self.messages.append(message)
        return self.answer

    def to(self, address: str) -> list[Message]:
        """Everything for one address or number, oldest first."""
        return [message for message in self.messages if message.to == address]

    def code(self, address: str) -> str:
        """The digits of the newest message to `address`."""
        found = CODE.search(self.to(address)[-1].text)
        assert found, "the newest message holds no code"
        return found.group()
