"""A small venue that is recorded as a run is: series, minutes, events, and the losses they show."""

import numpy as np

from stressbook.experiments.losses import named_losses
from stressbook.experiments.recorder import make_series, record_step
from stressbook.experiments.shortfall import make_minutes, record_minute, value_reserve
from tests.small_venue import UPDATE_MS

N_STEPS = 600


class Watch:
    """Records the steps of a venue from now on."""

    def __init__(self, venue):
        self.venue = venue
        venue.v.par[0].dt_ms = UPDATE_MS
        self.series = make_series(N_STEPS, venue.v)
        self.minutes = make_minutes(N_STEPS, venue.v)
        self.events = []

    def note(self):
        """Record the step that the venue has just taken, whatever its length, as a mark update."""
        self.venue.v.par[0].dt_ms = UPDATE_MS
        record_step(self.venue.v, self.series)
        self.events.append(self.venue.events)

    def update(self, *prices_usd, n=1):
        """Go from mark update to mark update, HYPE at these prices, each for n of them."""
        for price in prices_usd:
            for _ in range(n):
                self.venue.update(HYPE=price)
                self.note()

    def minute(self):
        """Let a minute end."""
        record_minute(self.venue.v, self.series, self.minutes)

    def losses(self, **more):
        v = self.venue.v
        value_reserve(v, self.series, self.minutes)
        n = int(self.series.step[0])
        return named_losses(
            v, np.concatenate(self.events), self.minutes, self.series.venue[:n], **more
        )
