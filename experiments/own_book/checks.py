"""Holdings against a venue: what each amount is in the units of its ledger, or why it is none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from stressbook.agents.drafts import Listing, listings
from stressbook.agents.enrolment import answer
from stressbook.agents.own_book import OwnAccount, equity_micro
from stressbook.errors import Problem, nearest_name
from stressbook.experiments.own_book.holdings import KINDS, Holding, OwnBook
from stressbook.market.numbers.draws import ORDINAL_MAX
from stressbook.market.numbers.units import BALANCE_MAX, MICRO, PRICE_ONE
from stressbook.market.rules.spec import ORDINARY, VenueSpec
from stressbook.market.state.codes import (
    ELIGIBLE,
    MODE_PORTFOLIO,
    MODE_STANDARD,
    MODE_UNIFIED,
    TOO_LARGE,
)
from stressbook.market.state.records import N_TICKS

if TYPE_CHECKING:
    from stressbook.experiments.scenario import Scenario

__all__ = ["accounts_of", "scenario_accounts"]

MODES: Final = {
    "": MODE_UNIFIED,
    "portfolio": MODE_PORTFOLIO,
    "unified": MODE_UNIFIED,
    "standard": MODE_STANDARD,
}
WRAPPED: Final = {"UBTC": "BTC", "UETH": "ETH", "USOL": "SOL"}  # the venue's names of tokens
_OF_ACCOUNT: Final = ("account_mode", "owner", "volume_14d_usd")
_ONLY_CLASS: Final = "own_book"
_MOST_DIGITS: Final = 30  # before and behind the point: more than any ledger holds


def scenario_accounts(scenario: Scenario) -> tuple[OwnAccount, ...]:
    """Return the accounts of the population file of a scenario; none where it has none.

    Parameters
    ----------
    scenario : Scenario
        Resolved, so that its file is known to fit.

    Returns
    -------
    tuple of OwnAccount
    """
    if scenario.population is None:
        return ()
    spec, regime = scenario.venue_spec(), scenario.margin_regime
    return accounts_of(scenario.population, spec, regime=regime, problems=[])


def accounts_of(
    book: OwnBook, spec: VenueSpec, *, regime: str, problems: list[Problem]
) -> tuple[OwnAccount, ...]:
    """Return the accounts of a file in the units of a venue.

    Parameters
    ----------
    book : OwnBook
        As read.
    spec : VenueSpec
        Rules, with opening prices.
    regime : str
        Of the scenario: under "cross" and "isolated" nobody is enrolled and nobody may owe; who
        asks for portfolio mode opens unified, as in all classes.
    problems : list of Problem
        Appended to, one for each place.

    Returns
    -------
    tuple of OwnAccount
        Meaningless if a problem was reported.

    Examples
    --------
    >>> from stressbook.market.rules.spec import load_preset
    >>> book = OwnBook("a.csv", (Holding("desk", "perp", "HYPE", "-2.5", "84"),))
    >>> accounts_of(book, load_preset("hyperliquid"), regime="cross", problems=[])[0].perps
    {3: (-250, 8400000000)}
    """
    reader = _Reader(book.file, spec, regime, problems)
    by_account: dict[str, list[Holding]] = {}
    for one in book.holdings:
        by_account.setdefault(one.account, []).append(one)
    if len(by_account) > ORDINAL_MAX:
        problems.append(Problem("has too many accounts", book.file, len(by_account)))
        return ()
    return tuple(reader.account(name, mine) for name, mine in by_account.items())


@dataclass
class _Found:
    """What is read of an account."""

    cash_micro: int = 0
    tokens: dict[int, int] = field(default_factory=dict)
    perps: dict[int, tuple[int, int]] = field(default_factory=dict)
    debts: dict[int, int] = field(default_factory=dict)
    supplies: dict[int, int] = field(default_factory=dict)
    leverage: dict[int, int] = field(default_factory=dict)


class _Reader:
    """Reads accounts and keeps all problems."""

    def __init__(self, file: str, spec: VenueSpec, regime: str, problems: list[Problem]) -> None:
        self.file, self.spec, self.problems = file, spec, problems
        self.is_ordinary = regime in ORDINARY
        self.regime = regime
        self.assets: dict[str, Listing] = {one.name: one for one in listings(spec)}
        self.tokens = {token.name: index for index, token in enumerate(spec.tokens)}

    def account(self, name: str, rows: Sequence[Holding]) -> OwnAccount:
        """Return one account of its rows."""
        n_before = len(self.problems)
        seen: set[tuple[str, str]] = set()
        found = _Found()
        for row in rows:
            if not name:
                self._tell(row, "account", "is empty", "", "a name")
            asset = WRAPPED.get(row.asset, row.asset) or "USDC"
            if row.kind not in KINDS:
                self._unknown(row, "kind", row.kind, KINDS)
                continue
            if (row.kind, asset) in seen:
                what = f"is there twice for {name}"
                self._tell(row, "asset", what, f"{row.kind} {row.asset}", "one row: add them up")
            seen.add((row.kind, asset))
            getattr(self, f"_{row.kind}")(row, asset, found)
            self._stray(row)
        mode, owner, volume_micro = self._of_account(name, rows)
        account = OwnAccount(
            name,
            found.cash_micro,
            found.tokens,
            found.perps,
            found.debts,
            found.supplies,
            mode,
            found.leverage,
            owner,
            volume_micro,
        )
        if len(self.problems) == n_before:
            self._judge(account, rows)
        if self.is_ordinary and mode == MODE_PORTFOLIO:
            return replace(account, account_mode=MODE_UNIFIED)  # as with every other class
        return account

    # --- rows ------------------------------------------------------------------------------------
    def _cash(self, row: Holding, asset: str, found: _Found) -> None:
        if asset != "USDC":
            self._tell(row, "asset", "is no cash", row.asset, "USDC; other tokens are kind token")
        found.cash_micro = self._units(row, MICRO, "micro-USDC")

    def _token(self, row: Holding, asset: str, found: _Found) -> None:
        if asset == "USDC":
            self._tell(row, "kind", "is no kind of USDC", row.kind, "cash")
            return
        if (token := self._token_of(row, asset)) < 0:
            return
        units = self._units(row, self.spec.tokens[token].unit, f"units of {asset}")
        if units < 0:
            self._tell(row, "amount", "is negative", row.amount, "0 or more: a loan is kind debt")
        found.tokens[token] = units

    def _debt(self, row: Holding, asset: str, found: _Found) -> None:
        self._loan(row, asset, found.debts)

    def _supply(self, row: Holding, asset: str, found: _Found) -> None:
        self._loan(row, asset, found.supplies)

    def _loan(self, row: Holding, asset: str, into: dict[int, int]) -> None:
        if (token := self._token_of(row, asset)) < 0:
            return
        spec = self.spec.tokens[token]
        if not spec.borrowable:
            lent = ", ".join(one.name for one in self.spec.tokens if one.borrowable)
            self._tell(row, "asset", "is not lent by this venue", row.asset, lent)
        units = self._units(row, spec.unit, f"units of {asset}")
        if units < 0:
            self._tell(row, "amount", "is negative", row.amount, "0 or more")
        if units:
            into[token] = units

    def _perp(self, row: Holding, asset: str, found: _Found) -> None:
        listing = self.assets.get(asset)
        if listing is None or listing.perp < 0:
            traded = [one.name for one in self.assets.values() if one.perp >= 0]
            self._unknown(row, "asset", row.asset, traded, what="has no perp in this scenario")
            return
        spec = self.spec.instruments[listing.perp]
        lots = self._units(row, round(1.0 / spec.lot_size), f"lots of {spec.lot_size:g} {asset}")
        entry_e8 = self._number(row, "entry_price_usd", row.entry_price_usd, PRICE_ONE, "1e-8 USD")
        top_e8 = spec.tick_e8 * N_TICKS
        if entry_e8 is not None and not 0 < entry_e8 < top_e8:
            allowed = f"above 0 and below {top_e8 / PRICE_ONE:g} USD, the end of its ladder"
            self._tell(row, "entry_price_usd", "is out of range", row.entry_price_usd, allowed)
        most = self.spec.max_position_lots(spec)
        if abs(lots) > most:
            self._tell(row, "amount", "is too large", row.amount, f"up to {most} lots")
        if lots:
            found.perps[listing.perp] = (lots, entry_e8 or 1)
        if row.leverage:
            found.leverage[listing.perp] = self._leverage(row, listing)

    def _leverage(self, row: Holding, listing: Listing) -> int:
        most = int(self.spec.assets[listing.asset].tiers[0].max_leverage)
        found = self._number(row, "leverage", row.leverage, 1, "times")
        if found is not None and not 1 <= found <= most:
            self._tell(row, "leverage", "is out of range", row.leverage, f"1 to {most}")
            return most
        return found or most

    def _token_of(self, row: Holding, asset: str) -> int:
        if asset in self.tokens:
            return self.tokens[asset]
        self._unknown(row, "asset", row.asset, self.tokens, what="is no token of this scenario")
        return -1

    def _stray(self, row: Holding) -> None:
        """Tell what is said of a perp where there is none, and of a class that no file has."""
        for name in ("entry_price_usd", "leverage"):
            value = getattr(row, name)
            if row.kind != "perp" and value:
                self._tell(row, name, f"is not read of kind {row.kind}", value, "empty")
        if row.class_ not in ("", _ONLY_CLASS):
            what = "is no class that accounts of a file may have"
            self._tell(row, "class", what, row.class_, f"{_ONLY_CLASS}, or empty: they do nothing")

    # --- of an account ---------------------------------------------------------------------------
    def _of_account(self, name: str, rows: Sequence[Holding]) -> tuple[int, str, int]:
        """Return mode, owner and volume, each said in any of the rows."""
        said = dict.fromkeys(_OF_ACCOUNT, "")
        volume_micro = 0
        for row in rows:
            for column in _OF_ACCOUNT:
                value = getattr(row, column)
                if value and said[column] and value != said[column]:
                    what = f"is not what another row says of {name}"
                    self._tell(row, column, what, value, said[column])
                elif value and not said[column]:
                    said[column] = value
                    if column == "account_mode" and value not in MODES:
                        self._unknown(row, column, value, [mode for mode in MODES if mode])
                    if column == "volume_14d_usd":
                        found = self._number(row, column, value, MICRO, "micro-USDC")
                        volume_micro = found or 0
                        if volume_micro < 0:
                            self._tell(row, column, "is negative", value, "0 or more USD")
        mode = MODES.get(said["account_mode"], MODE_UNIFIED)
        return mode, said["owner"], volume_micro

    def _judge(self, account: OwnAccount, rows: Sequence[Holding]) -> None:
        """Tell whether the account as a whole may be."""
        owed = next((row for row in rows if row.kind == "debt"), None)
        is_portfolio = account.account_mode == MODE_PORTFOLIO
        if owed is not None and account.debts:
            backed = any(
                self.spec.tokens[token].ltv > 0.0 and units > 0
                for token, units in account.tokens.items()
            )
            lends = [one.name for one in self.spec.tokens if one.ltv > 0.0]
            if not is_portfolio:
                self._tell(owed, "account_mode", "cannot owe", owed.account_mode, "portfolio")
            elif self.is_ordinary:
                what = f"cannot be owed under margin_regime {self.regime}, which enrols nobody"
                self._tell(owed, "amount", what, owed.amount, "another margin regime")
            elif not backed:
                what = "is owed without collateral"
                self._tell(owed, "amount", what, owed.amount, f"tokens of {', '.join(lends)}")
        if is_portfolio and not self.is_ordinary:
            self._judge_eligible(account, rows[0])

    def _judge_eligible(self, account: OwnAccount, row: Holding) -> None:
        value = equity_micro(account, self.spec, list(self.assets.values()))
        found = answer(self.spec, value_micro=value, volume_micro=account.volume_14d_micro)
        if found == ELIGIBLE:
            return
        margin = self.spec.margin
        what = f"is not eligible for portfolio margin with {value / MICRO:,.0f} USD"
        allowed = (
            f"an account value below {margin.account_value_max_usd:,.0f} USD"
            if found == TOO_LARGE
            else f"a value above {margin.eligible_value_usd:,.0f} USD, or a volume_14d_usd above "
            f"{margin.eligible_volume_usd:,.0f}"
        )
        self._tell(row, "account", what, account.name, allowed)

    # --- numbers ---------------------------------------------------------------------------------
    def _units(self, row: Holding, unit: int, words: str) -> int:
        return self._number(row, "amount", row.amount, unit, words) or 0

    def _number(self, row: Holding, column: str, text: str, unit: int, words: str) -> int | None:
        """Return a number in whole units."""
        try:
            value = Decimal(text)
        except InvalidOperation:
            self._tell(row, column, "is no number", text, "a decimal number, as in -12.5")
            return None
        if not value.is_finite():
            self._tell(row, column, "is no finite number", text, "a decimal number")
            return None
        # Fractions are exact for any number of digits, and 1E+999999 need not be multiplied out.
        if value.adjusted() > _MOST_DIGITS or abs(value) * unit >= BALANCE_MAX:
            self._tell(row, column, "is too large", text, f"below 2**62 {words}")
            return None
        if value and value.adjusted() < -_MOST_DIGITS:
            self._tell(row, column, "is no whole number of units", text, f"whole {words}")
            return None
        scaled = Fraction(value) * unit
        if scaled.denominator != 1:
            self._tell(row, column, "is no whole number of units", text, f"whole {words}")
            return None
        return int(scaled)

    def _tell(self, row: Holding, column: str, what: str, value: object, allowed: str) -> None:
        place = f"{self.file} {row.place}".strip()
        self.problems.append(Problem(what, f"population {place}, {column}", value, allowed))

    def _unknown(
        self,
        row: Holding,
        column: str,
        value: str,
        known: Iterable[str],
        *,
        what: str = "is unknown",
    ) -> None:
        names = list(known)
        nearest = nearest_name(value, names)
        place = f"population {self.file} {row.place}, {column}"
        hint = f"did you mean {nearest!r}?" if nearest and nearest != value else ""
        self.problems.append(Problem(what, place, value, ", ".join(names), hint))
