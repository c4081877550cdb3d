"""Which numbers of a venue may change during a run, and how a changed one gets into its arrays.

A number may change if what it governs looks at it afresh each time: a cap, a loan-to-value, a rate.
What sizes, prices, accounts or what is under way were made with may not.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from stressbook.errors import InvalidInput, nearest_name
from stressbook.market.compiling.arrays import Records
from stressbook.market.rules.rule_arrays import rule_arrays
from stressbook.market.rules.spec import VenueSpec
from stressbook.market.state.records import VenueState

__all__ = ["CHANGEABLE", "RuleChanges", "RuleEntry", "changed_value", "refusal_of"]

# Attributes by section or table of a preset.
CHANGEABLE: Final = {
    "tokens": (
        "ltv",
        "user_supply_cap",
        "user_borrow_cap",
        "platform_supply_cap",
        "platform_borrow_cap",
        "slice_width_usd",
        "rate_base",
        "rate_low_slope",
        "rate_slope",
        "kink_utilisation",
    ),
    "instruments": ("open_interest_cap_usd",),
    "margin": (
        "trigger_ratio",
        "notional_floor_frac",
        "order_margin_buffer_frac",
        "eligible_volume_usd",
        "eligible_value_usd",
        "account_value_max_usd",
    ),
    "lending": ("retained_frac",),
    "funding": ("cap_frac", "interest_frac", "clamp_frac", "static_frac"),
    "liquidation": (
        "forced_slippage_frac",
        "backstop_mm_frac",
        "liquidation_fee_frac",
        "partial_notional_usd",
        "partial_frac",
        "cooldown_ms",
        "twap_halflife_ms",
        "slice_frac",
    ),
    "orders": ("price_band_frac", "order_min_usd", "cap_rest_band_frac"),
}
_FIXED: Final = {
    "clock": "is a period: what is due would come twice or not at all",
    "mark": "is the memory of an average that runs through the change",
    "latency": "is the way of messages, some of which are under way",
    "regime": "is structural: another margin regime has an opening book of its own",
    "assets": "is fixed by the opening: prices and positions are made with it",
    "fee_tiers": "is read by the engines at the opening only",
    "order_sizes": "is fixed by the opening: the bounds of books are made with it",
}
_OTHER: Final = "is a switch, a name or a part of the opening, none of which has a way in between"
_ZERO_IS_ANY: Final = ("open_interest_cap_usd", "price_band_frac")
_ARRAYS: Final = ("par", "inst", "token_spec")


class RuleEntry(NamedTuple):
    """One number in the rule arrays of a state."""

    array: str
    row: int
    field: str


def refusal_of(place: str) -> tuple[str, str]:
    """Return why a number may not change during a run, and what may instead.

    Parameters
    ----------
    place : str
        As `VenueSpec.places` has it; whether a token or book of that name is listed is not
        looked at.

    Returns
    -------
    (str, str)
        Both empty if it may.

    Examples
    --------
    >>> refusal_of("tokens.HYPE.ltv"), refusal_of("mark.mark_ema_ms")[0]
    (('', ''), 'is the memory of an average that runs through the change')
    """
    section, _, rest = place.partition(".")
    *label, attribute = rest.split(".")
    is_table = section in ("tokens", "instruments")
    if attribute in CHANGEABLE.get(section, ()) and len(label) == is_table:
        return "", ""
    middle = ".NAME" if is_table else ""
    if section in CHANGEABLE:
        near = [f"{section}{middle}.{name}" for name in CHANGEABLE[section]]
        return _OTHER, ", ".join(near)
    allowed = ", ".join(f"{name}.*" for name in CHANGEABLE)
    return _FIXED.get(section, "is no number of a venue"), f"numbers in {allowed}"


def changed_value(
    spec: VenueSpec, place: str, *, to: float | None, factor: float | None, severity: float
) -> float:
    """Return a number on its way from the present value to a new one.

    Parameters
    ----------
    spec : VenueSpec
        With the present value.
    place : str
        Of the number.
    to, factor : float, optional
        New value, or the new one over the present one.
    severity : float
        0 is the present value, 1 the new one.

    Returns
    -------
    float
        A whole number where the rule is one.

    Raises
    ------
    InvalidInput
        If the venue has no such number, or no way leads from the one value to the other: 0 stands
        for "any".

    Examples
    --------
    >>> from stressbook.market.rules.spec import load_preset
    >>> rules = load_preset("hyperliquid")
    >>> changed_value(rules, "liquidation.cooldown_ms", to=None, factor=0.5, severity=1.0)
    15000
    """
    known = spec.places()
    if place not in known:
        section = place.partition(".")[0]
        near = [n for n in known if n.startswith(f"{section}.") and refusal_of(n) == ("", "")]
        nearest = nearest_name(place, near)
        hint = f"did you mean {nearest!r}?" if nearest else ""
        raise InvalidInput(
            "is unknown", name="place", value=place, allowed=", ".join(near), hint=hint
        )
    section, index, attribute = known[place]
    holder = getattr(spec, section)
    now = getattr(holder if index < 0 else holder[index], attribute)
    new = float(now) * factor if factor is not None else float(now if to is None else to)
    if attribute in _ZERO_IS_ANY and (now == 0.0 or new == 0.0) and 0.0 < severity < 1.0:
        raise InvalidInput(
            "has no way in between: 0 stands for any",
            name=place,
            value=new,
            allowed="severity 0 or 1",
        )
    if factor is not None and now == 0.0:
        raise InvalidInput("is 0, which no factor changes", name=place, value=0.0, allowed="`to`")
    value = (1.0 - severity) * float(now) + severity * new
    return round(value) if isinstance(now, int) else value


class RuleChanges:
    """What has been changed in the rule arrays of a state since its opening.

    Only numbers that were changed here are ever written, so that what a study has set by hand
    stays.

    Parameters
    ----------
    spec : VenueSpec
        The venue that the state was made of.
    """

    def __init__(self, spec: VenueSpec) -> None:
        self.spec = spec
        self.touched: frozenset[RuleEntry] = frozenset()

    @cached_property
    def _opening(self) -> dict[str, Records]:
        return rule_arrays(self.spec)

    def write(self, v: VenueState, changed: VenueSpec) -> bool:
        """Write the rules of another venue that differ from the opening's, or did before.

        Parameters
        ----------
        v : VenueState
            Changed in `par`, `inst` and `token_spec`.
        changed : VenueSpec
            The same venue with some numbers changed.

        Returns
        -------
        bool
            True if anything was written.
        """
        arrays = rule_arrays(changed)
        self.touched |= _differing(self._opening, arrays)
        for array, row, field in self.touched:
            getattr(v, array)[field][row] = arrays[array][field][row]
        return bool(self.touched)


def _differing(one: dict[str, Records], other: dict[str, Records]) -> frozenset[RuleEntry]:
    return frozenset(
        RuleEntry(name, int(row), field)
        for name in _ARRAYS
        for field in one[name].dtype.names or ()
        for row in np.flatnonzero(one[name][field] != other[name][field])
    )
