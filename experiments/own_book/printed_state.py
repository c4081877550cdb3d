"""The venue's own print of an account, as holdings: perps, balances, loans.

An account is an object with `clearinghouseState`, `spotClearinghouseState` and
`borrowLendUserState`, each as the venue answers it and each of them optional. What the venue
prints twice must agree, within the rounding of its print.

Source of the shapes: docs.chainstack.com, Hyperliquid info endpoints; live states of 2026-09-08.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal, localcontext
from pathlib import Path
from typing import Any, Final

from stressbook.errors import Problem
from stressbook.experiments.conform.inputs import Given, NotSupported
from stressbook.experiments.conform.venue_accounts import net_usd
from stressbook.experiments.own_book.holdings import Holding

__all__ = ["printed_holdings"]

STATES: Final = ("clearinghouseState", "spotClearinghouseState", "borrowLendUserState")
TOLERANCE_USD: Final = 0.01  # sums of amounts that are printed to a millionth
_INTEREST: Final = 1e-5  # of a loan: two answers of the venue are seconds apart
_MICRO: Final = Decimal("0.000001")
_TOO_LARGE: Final = 1e24
_DIGITS: Final = 60  # a product of two such numbers to the millionth has less
_TOKEN_IDS: Final = {0: "USDC", 150: "HYPE", 197: "UBTC", 268: "USDT0", 360: "USDH"}
_MODES: Final = {
    "portfolioMargin": "portfolio",
    "unifiedAccount": "unified",
    "disabled": "standard",
    "default": "standard",
}


def printed_holdings(content: Any, *, file: str) -> tuple[list[Holding], list[Problem]]:
    """Return the holdings of one printed account, a list of them, or an object by name.

    Parameters
    ----------
    content : object
        As read from JSON; numbers may be decimal strings.
    file : str
        Its stem names a single account that has no name.

    Returns
    -------
    list of Holding
        Cash is what perps have not yet gained; USDC is rounded to the ledger's millionth, debts up.
    list of Problem

    Examples
    --------
    >>> spot = {"balances": [{"coin": "USDC", "token": 0, "total": "7.5", "hold": "0.0"}]}
    >>> holdings, problems = printed_holdings({"spotClearinghouseState": spot}, file="desk.json")
    >>> holdings[0].account, holdings[0].amount, problems
    ('desk', '7.500000', [])
    """
    holdings: list[Holding] = []
    problems: list[Problem] = []
    try:
        with localcontext(prec=_DIGITS):
            for name, place, table in _accounts(content, file):
                account = _Account(name, place, table)
                holdings += account.holdings()
                problems += account.problems
    except NotSupported as error:
        problems.append(
            Problem(str(error), "population", file, f"objects with {', '.join(STATES)}")
        )
    return holdings, problems


def _accounts(content: Any, file: str) -> Iterator[tuple[str, str, Given]]:
    """Yield name, place and table of each account."""
    if isinstance(content, list):
        for rank, one in enumerate(content):
            if not isinstance(one, Mapping):
                raise NotSupported(f"[{rank}] is no object")
            yield _name(one, f"account-{rank + 1}"), f"[{rank}]", Given(one)
    elif not isinstance(content, Mapping):
        raise NotSupported("is no object and no list")
    elif any(state in content for state in STATES):
        yield _name(content, Path(file).stem), "", Given(content)
    elif "assetPositions" in content:
        yield Path(file).stem, "", Given({"clearinghouseState": content})
    else:
        for name, one in content.items():
            if not isinstance(one, Mapping) or not any(state in one for state in STATES):
                raise NotSupported(f"`{name}` has none of the venue's states")
            yield name, name, Given(one)


def _name(table: Mapping[str, Any], default: str) -> str:
    found = [table[key] for key in ("account", "user") if isinstance(table.get(key), str)]
    return found[0] if found else default


class _Account:
    """One printed account."""

    def __init__(self, name: str, place: str, table: Given) -> None:
        self.name, self.place = name, place
        self.problems: list[Problem] = []
        self.perps = table.table_or_empty(STATES[0])
        self.spot = table.table_or_empty(STATES[1])
        self.loans = table.table_or_empty(STATES[2])
        self.owner = table.text("owner") if table.has("owner") else ""
        self.volume = str(table.raw("volume_14d_usd")) if table.has("volume_14d_usd") else ""
        self.mode = self._mode(table)

    def _mode(self, table: Given) -> str:
        if table.has("userAbstraction"):
            word = table.text("userAbstraction")
            if word not in _MODES:
                self._tell("userAbstraction", "is unknown", word, ", ".join(_MODES))
            return _MODES.get(word, "")
        if self.spot.has("portfolioMarginEnabled") and self.spot.raw("portfolioMarginEnabled"):
            return "portfolio"
        return "unified" if self.spot.has("tokenToAvailableAfterMaintenance") else "standard"

    def _tell(self, where: str, what: str, value: object, allowed: str = "") -> None:
        place = f"{self.place}.{where}".lstrip(".")
        self.problems.append(Problem(what, place, value, allowed))

    def holdings(self) -> list[Holding]:
        """Return the rows of the account; problems are kept."""
        try:
            balances = self._balances()
            positions = self._positions()
            usdc = balances.pop("USDC", Given({}))
            debt, supply = self._loan(usdc, "USDC", "borrow"), self._loan(usdc, "USDC", "supply")
            found = [*self._perps(positions), *self._tokens(balances)]
            self._judge_totals(positions)
            found += self._usdc(usdc, positions, debt, supply)
        except NotSupported as error:
            self._tell("", str(error), self.name)
            return []
        return found

    def _balances(self) -> dict[str, Given]:
        found: dict[str, Given] = {}
        for rank, one in enumerate(
            self.spot.tables("balances") if self.spot.has("balances") else []
        ):
            coin = one.text("coin")
            if coin in found:
                self._tell(f"balances[{rank}].coin", "is there twice", coin, "each token once")
            found[coin] = one
        return found

    def _positions(self) -> list[Given]:
        if not self.perps.has("assetPositions"):
            return []
        found = [one.table("position") for one in self.perps.tables("assetPositions")]
        for rank, one in enumerate(found):
            if one.table_or_empty("leverage").has("type") and (
                one.table("leverage").text("type") == "isolated"
            ):
                where = f"assetPositions[{rank}].position.leverage.type"
                allowed = "cross: give an isolated position an account of its own"
                self._tell(where, "is not margined with the account", "isolated", allowed)
        return found

    def _row(self, kind: str, asset: str, amount: Decimal, where: str, **more: str) -> Holding:
        return Holding(
            account=self.name,
            kind=kind,
            asset=asset,
            amount=f"{amount:f}",
            account_mode=self.mode,
            owner=self.owner,
            volume_14d_usd=self.volume,
            place=f"{self.place}.{where}".lstrip("."),
            **more,
        )

    def _perps(self, positions: list[Given]) -> Iterator[Holding]:
        for rank, one in enumerate(positions):
            size, entry = exact(one, "szi"), exact(one, "entryPx")
            leverage = one.table_or_empty("leverage")
            yield self._row(
                "perp",
                one.text("coin"),
                size,
                f"assetPositions[{rank}].position",
                entry_price_usd=f"{entry:f}",
                leverage=str(leverage.raw("value")) if leverage.has("value") else "",
            )
            if not one.has("positionValue", "unrealizedPnl"):
                continue
            signed = exact(one, "positionValue") * (1 if size > 0 else -1)
            gained = signed - size * entry
            # The entry price is rounded to the digits that it is printed with.
            exponent = entry.as_tuple().exponent
            digit = Decimal(1).scaleb(exponent if isinstance(exponent, int) else 0)
            self._agree(
                f"assetPositions[{rank}].position.unrealizedPnl",
                exact(one, "unrealizedPnl"),
                gained,
                "positionValue less szi x entryPx",
                TOLERANCE_USD + float(abs(size) * digit),
            )

    def _tokens(self, balances: Mapping[str, Given]) -> Iterator[Holding]:
        for coin, one in balances.items():
            total = exact(one, "total")
            debt = self._loan(one, coin, "borrow")
            if total or debt:
                # Collateral that is supplied is not lent on: it stands in the total.
                yield self._row("token", coin, total + debt, f"balances.{coin}")
            if debt:
                yield self._row("debt", coin, debt, f"balances.{coin}.borrowed")

    def _loan(self, balance: Given, coin: str, side: str) -> Decimal:
        """Return what is borrowed or supplied of a token, by balance and by the loan state."""
        key = {"borrow": "borrowed", "supply": "supplied"}[side]
        printed = exact(balance, key) if balance.has(key) else None
        other = None
        for token, state in _loan_states(self.loans):
            if _TOKEN_IDS.get(token, "") == coin or (
                balance.has("token") and token == balance.whole("token")
            ):
                other = exact(state.table(side), "value")
        if printed is None:
            return Decimal(0) if other is None else other
        if other is not None:
            where = f"{coin}.{key}"
            slack = TOLERANCE_USD + _INTEREST * float(printed)
            self._agree(where, printed, other, "the borrowLendUserState", slack)
        return printed

    def _usdc(
        self, usdc: Given, positions: list[Given], debt: Decimal, supply: Decimal
    ) -> Iterator[Holding]:
        """Yield cash, debt and supply; where balances are one, they hold what perps have gained."""
        total = exact(usdc, "total") if usdc.has("total") else Decimal(0)
        debt = debt.quantize(_MICRO, ROUND_CEILING)
        supply = supply.quantize(_MICRO, ROUND_HALF_UP)
        entries = sum(
            ((exact(one, "szi") * exact(one, "entryPx")).quantize(_MICRO, ROUND_HALF_UP)
             for one in positions),
            Decimal(0),
        )  # fmt: skip
        if self.perps.has("marginSummary"):
            raw = exact(self.perps.table("marginSummary"), "totalRawUsd")
            cash = raw.quantize(_MICRO, ROUND_HALF_UP) + entries
            if self.mode == "standard":
                cash += total.quantize(_MICRO, ROUND_HALF_UP) + debt
            elif usdc.has("total"):
                perps = Given({"totalRawUsd": str(raw), "positions": positions})
                net = net_usd(Given({}), perps, positions, float(debt))
                slack = TOLERANCE_USD + _INTEREST * float(debt)
                words = "the account value less what is borrowed"
                self._agree("balances.USDC.total", total, Decimal(repr(net)), words, slack)
        else:
            cash = total.quantize(_MICRO, ROUND_HALF_UP) + debt
        cash -= supply
        if cash:
            yield self._row("cash", "USDC", cash, "USDC")
        if debt:
            yield self._row("debt", "USDC", debt, "USDC.borrowed")
        if supply:
            yield self._row("supply", "USDC", supply, "USDC.supplied")

    def _judge_totals(self, positions: list[Given]) -> None:
        """Compare what the summary of the perps says with what the positions add up to."""
        if not self.perps.has("marginSummary"):
            if positions:
                raise NotSupported("lacks `marginSummary`")
            return
        summary = self.perps.table("marginSummary")
        values = [exact(one, "positionValue") for one in positions]
        signs = [1 if exact(one, "szi") > 0 else -1 for one in positions]
        signed = sum((v * s for v, s in zip(values, signs, strict=True)), Decimal(0))
        slack = TOLERANCE_USD * (1 + len(positions))
        for name, total, words in (
            ("totalNtlPos", sum(values, Decimal(0)), "the sum of positionValue"),
            (
                "accountValue",
                exact(summary, "totalRawUsd") + signed,
                "totalRawUsd and the signed positionValue",
            ),
        ):
            if summary.has(name):
                self._agree(f"marginSummary.{name}", exact(summary, name), total, words, slack)
        if summary.has("totalMarginUsed") and all(one.has("marginUsed") for one in positions):
            used = sum((exact(one, "marginUsed") for one in positions), Decimal(0))
            printed = exact(summary, "totalMarginUsed")
            self._agree(
                "marginSummary.totalMarginUsed", printed, used, "the sum of marginUsed", slack
            )

    def _agree(
        self, where: str, printed: Decimal, found: Decimal, words: str, slack: float
    ) -> None:
        if abs(float(printed - found)) > slack:
            allowed = f"{float(found):,.6f} within {slack:.4g}, {words}"
            self._tell(where, "does not add up", float(printed), allowed)


def _loan_states(loans: Given) -> Iterator[tuple[int, Given]]:
    """Yield number and state of each token that an account may owe or lend."""
    pairs = loans.raw("tokenToState") if loans.has("tokenToState") else []
    if not isinstance(pairs, list):
        raise NotSupported("`tokenToState` is no list")
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[1], Mapping)):
            raise NotSupported("`tokenToState` is no list of pairs of a token and its state")
        yield Given({"token": pair[0]}).whole("token"), Given(pair[1])


def exact(given: Given, name: str) -> Decimal:
    """Return a number as it is printed, digit by digit; a reason if it is none."""
    if not abs(given.number(name)) < _TOO_LARGE:
        raise NotSupported(f"`{name}` is too large for any ledger")
    return Decimal(str(given.raw(name)))
