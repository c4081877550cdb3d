"""What a venue is to the rest of the program, whichever engine runs it."""

from __future__ import annotations

from typing import Protocol

from stressbook.market.state.records import VenueState


class Engine(Protocol):
    """A venue that can be stepped.

    `state` is the venue itself (kernels) or a mirror of it (reference): readers of either see the
    same numbers. Agents write `state.outbox`; the engine executes it in `match`.
    """

    state: VenueState

    def before_decide(self, t_ms: int) -> None:
        """Do steps 3 to 5: prices, accrual, risk. Forced orders are first in the outbox."""

    def match(self, t_ms: int) -> None:
        """Do steps 7 to 9: sequence and match the outbox, settle margins, sample the books."""

    def reload(self) -> None:
        """Take `state` as it stands: it has been written to from outside."""
