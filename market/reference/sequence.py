"""The order of messages again, as the rules read: a list that is sorted."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from stressbook.market.numbers.draws import PURPOSE_LATENCY_JITTER, PURPOSE_TIE, uniform
from stressbook.market.numbers.units import round_nearest
from stressbook.market.reference.records import Message, Participant
from stressbook.market.state.codes import FORCED, OP_NEW, POST_ONLY, TRIGGERED, TWAP

__all__ = ["ReferenceSequencer", "TimedMessage"]


class TimedMessage(NamedTuple):
    """A message on its way."""

    message: Message
    effective_us: int
    emitted_ms: int
    number: int  # among its user's messages of that step

    def is_due(self, t_ms: int) -> bool:
        """Tell whether it is executed in the step that ends at `t_ms`."""
        return _is_without_latency(self.message) or self.effective_us < t_ms * 1000


@dataclass
class ReferenceSequencer:
    """Messages by effective time; ties by draw, then by emission.

    Parameters
    ----------
    dt_ms : int
        Length of a step.
    class_delay_us : int
        Wait of orders that may take.
    jitter_frac : float
        Half-width of the jitter of latencies.
    key : (int, int)
        Of the draws.
    pending : list of TimedMessage
        What has not become effective yet.

    Examples
    --------
    >>> sequencer = ReferenceSequencer(dt_ms=1000, class_delay_us=400_000)
    >>> users = [Participant(latency_us=700_000), Participant(latency_us=100_000)]
    >>> orders = [Message(OP_NEW, user=0), Message(OP_NEW, user=1)]
    >>> [m.user for m in sequencer.sequence(orders, users, t_ms=1000)]
    [1]
    >>> [m.user for m in sequencer.sequence([], users, t_ms=2000)]
    [0]
    """

    dt_ms: int
    class_delay_us: int = 0
    jitter_frac: float = 0.0
    key: tuple[int, int] = (0, 0)
    pending: list[TimedMessage] = field(default_factory=list)

    def sequence(
        self, outbox: Iterable[Message], users: Sequence[Participant], *, t_ms: int
    ) -> list[Message]:
        """Return what is effective in the step that ends at `t_ms`, in the order of execution."""
        numbers: Counter[int] = Counter()
        waiting = list(self.pending)
        for message in outbox:
            number = numbers[message.user]
            numbers[message.user] += 1
            effective_us = self._effective_us(message, users, t_ms, number)
            waiting.append(TimedMessage(message, effective_us, t_ms, number))
        due = [m for m in waiting if m.is_due(t_ms)]
        self.pending = [m for m in waiting if not m.is_due(t_ms)]
        due.sort(key=lambda m: (max(m.effective_us, self._start_us(t_ms)), self._tie(m, users)))
        return [m.message for m in due]

    def _start_us(self, t_ms: int) -> int:
        return (t_ms - self.dt_ms) * 1000

    def _effective_us(
        self, message: Message, users: Sequence[Participant], t_ms: int, number: int
    ) -> int:
        if not 0 <= message.user < len(users):
            return self._start_us(t_ms)
        if _is_without_latency(message):
            return t_ms * 1000
        user = users[message.user]
        draw = 0.5
        if self.jitter_frac > 0.0:
            draw = uniform(*self.key, PURPOSE_LATENCY_JITTER, user.key, t_ms, number)
        latency = float(user.latency_us) * (1.0 + self.jitter_frac * (2.0 * draw - 1.0))
        may_take = message.op == OP_NEW and message.tif != POST_ONLY
        delay_us = self.class_delay_us if may_take else 0
        return self._start_us(t_ms) + round_nearest(latency) + delay_us

    def _tie(self, timed: TimedMessage, users: Sequence[Participant]) -> int:
        if not 0 <= timed.message.user < len(users):
            return 0
        key = users[timed.message.user].key
        draw = uniform(*self.key, PURPOSE_TIE, key, timed.emitted_ms, timed.number)
        return int(draw * 2.0**38)


def _is_without_latency(message: Message) -> bool:
    return message.op == OP_NEW and message.flags & (FORCED | TWAP | TRIGGERED) != 0
