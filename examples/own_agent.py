"""An own agent: twenty accounts that trade the gap between perp and spot.

Run it from the repository: `python examples/own_agent.py`.
"""

import stressbook as sb


class BasisArb(sb.Account):
    """Sells the dear leg and buys the cheap one while their gap is outside a band."""

    band_frac: float = sb.param(0.0004, unit="1", help="half-width of the band", low=0.0)
    clip_usd: float = sb.param(20e3, unit="USD", help="size of an order", low=0.0)

    def decide(self, view: sb.View, out: sb.Outbox) -> None:
        """Trade one clip of each leg at a time, and hold at most ten."""
        gap = view.mid("BTC-PERP") / view.mid("BTC-SPOT") - 1.0
        lots = view.lots("BTC-PERP", self.clip_usd)
        if view.n_pending == 0 and gap > self.band_frac and view.position("BTC-PERP") > -10 * lots:
            out.sell("BTC-PERP", lots)
            out.buy("BTC-SPOT", view.lots("BTC-SPOT", self.clip_usd))


if __name__ == "__main__":
    calm = sb.scenario("skeleton").with_(stresses=[], duration="5min")
    run = calm.add(BasisArb, n=20, cash_usd=500e3, band_frac=0.0002).run(seed=7)
    print(run.frame("accounts").groupby("class")["gain_usd"].describe().to_string())
