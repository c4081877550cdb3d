"""An own stress: the oracle stops, while HYPE falls.

Run it from the repository: `python examples/own_stress.py`.
"""

import stressbook as sb


class OracleFreeze(sb.Stress):
    """The venue's oracle stops following the market for a while."""

    lag_s: float = sb.param(60.0, unit="s", help="age of the oracle", low=0.0)

    def apply(self, dials: sb.Dials, severity: float) -> sb.Dials:
        """Turn one dial of every asset."""
        for asset in dials.assets:
            dials = dials.add(asset, oracle_lag_s=self.lag_s * severity)
        return dials


if __name__ == "__main__":
    fall = sb.PriceGap(at="2min", duration="2min", assets=["HYPE"], fall_frac=0.15)
    base = sb.scenario("skeleton").with_(warmup="1min", duration="5min", stresses=[fall])
    effect = base.versus(OracleFreeze(at="2min", duration="3min"), reps=4, seed=7)
    print(effect.summary())
    print(effect["n_breaches"].difference)
