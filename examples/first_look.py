"""A first look, in cells that notebooks and editors run one by one."""

# %% [markdown]
# # A first look
# A scenario is looked at before it runs, run with a seed, and read as text, tables and a figure.

# %%
from pathlib import Path

import stressbook as sb

scenario = sb.scenario("skeleton").with_(warmup="1min", duration="5min", stresses=[])
fall = sb.PriceGap(at="2min", duration="2min", assets=["HYPE"], fall_frac=0.15)
stressed = scenario.stressed(fall)
print(stressed.plan())

# %% [markdown]
# Every number has a unit, a meaning and a source.

# %%
print(stressed.describe("agents.lender"))

# %% [markdown]
# One run. The same seed gives the same digest, on any machine of the same kind.

# %%
run = stressed.run(seed=7)
print(run.summary())
print(run.frame("events").groupby("kind").size())

# %% [markdown]
# What the margin rule changes, on the same draws: each regime has its own opening book.

# %%
effect = stressed.versus(stressed.with_(margin_regime="hyperliquid-pm"), reps=3, seed=7)
print(effect.summary())

# %%
folder = run.save(Path("results/runs/first-look"))
run.plot().figure.savefig(folder / "figure.png", dpi=100)
print(f"saved {folder}")
