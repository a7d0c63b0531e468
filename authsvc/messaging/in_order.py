"""Several senders of one channel: the first that can be asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from authsvc import logs
from authsvc.messaging.message import Delivery, Message, MessageSender, Outcome

#: For so long nobody asks a sender that has just failed, while there is another.
PAUSE_S = 30.0

log = logs.logger(__name__)


class InOrder:
    """Asks the first sender; the next one only where the first has certainly not taken the message.

    Where an answer was lost the message may be on its way, so this try ends there. The next try, and the next messages,
    then go to the next sender for a while: the person waits for a code, and twice the same one does no harm.
    """

    def __init__(self, senders: Sequence[MessageSender], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`senders`: in the order of preference, one at least."""
        self._senders = tuple(senders)
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._paused_until = [0.0] * len(self._senders)

    def send(self, message: Message) -> Delivery:
        """The answer of the first sender that gives one; a refusal is one, for it lies in the message."""
        delivery = Delivery.try_later("no sender")
        for number, sender in self._by_readiness():
            delivery = sender.send(message)
            if delivery.outcome is not Outcome.TRY_LATER:
                return delivery
            with self._lock:
                self._paused_until[number] = self._monotonic() + PAUSE_S
            log.warning("sender.unavailable", number=number + 1, reason=delivery.reason, pause_s=PAUSE_S)
            if delivery.maybe_taken:
                return delivery
        return delivery

    def _by_readiness(self) -> list[tuple[int, MessageSender]]:
        """Every sender, those that pause last: when all of them do, somebody is asked all the same."""
        now = self._monotonic()
        with self._lock:
            paused = list(self._paused_until)
        return sorted(enumerate(self._senders), key=lambda one: paused[one[0]] > now)
