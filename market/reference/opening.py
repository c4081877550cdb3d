"""The plain-Python exchange in the state of a compiled venue whose books are empty."""

import math

from stressbook.market.reference.ledger import ReferenceLedger
from stressbook.market.reference.margin import MarginRules
from stressbook.market.reference.margin_desk import (
    AssetMarks,
    Eligibility,
    MarginDesk,
    TokenRules,
)
from stressbook.market.reference.match import ReferenceExchange
from stressbook.market.reference.order_rules import order_rules_of
from stressbook.market.reference.records import FeeRates, Instrument, Participant
from stressbook.market.reference.regime_reading import ranges_of, regime_of
from stressbook.market.reference.reserve import ReferenceReserve
from stressbook.market.reference.sequence import ReferenceSequencer
from stressbook.market.regimes import MarginRegime
from stressbook.market.state.codes import PERP, REGIME_PORTFOLIO, VALUE_MAX_NO_LOANS
from stressbook.market.state.records import VenueState

__all__ = ["exchange_of", "reserve_of", "sequencer_of"]


def exchange_of(v: VenueState) -> ReferenceExchange:
    """Read a venue into plain Python.

    Parameters
    ----------
    v : VenueState
        Without resting orders; not changed.

    Returns
    -------
    ReferenceExchange
        Nothing is shared.

    Examples
    --------
    >>> from stressbook.market.opening.setup import AccountOpening, make_state
    >>> from stressbook.market.rules.spec import load_preset
    >>> trader = AccountOpening(key=1 << 20, cash_micro=10_000_000_000)
    >>> exchange = exchange_of(make_state(load_preset("hyperliquid"), [trader], seed=7))
    >>> exchange.ledger.cash(0), exchange.ledger.total(("cash", 0))
    (10000000000, 0)
    """
    return ReferenceExchange(
        instruments=[_instrument(v, inst) for inst in range(v.inst.shape[0])],
        users=[_participant(v, user) for user in range(v.user.shape[0])],
        fee_tiers=[
            FeeRates(*(int(tier[name]) for name in FeeRates._fields)) for tier in v.fee_tier
        ],
        ledger=ledger_of(v),
        n_slots=v.order.shape[0],
        n_trigger_slots=v.trigger.shape[0],
        desk=desk_of(v),
        order_rules=order_rules_of(v),
        volume_weights_e6=volume_weights_of(v),
        last_ticks={inst: int(v.book[inst].last_tick) for inst in range(v.inst.shape[0])},
    )


def volume_weights_of(v: VenueState) -> tuple[int, int]:
    """Read what perps and tokens count for in the weighted volume, 1e-6."""
    return int(v.par[0].volume_perp_weight_e6), int(v.par[0].volume_spot_weight_e6)


def sequencer_of(v: VenueState) -> ReferenceSequencer:
    """Read the clock of messages into plain Python; nothing may wait."""
    par = v.par[0]
    return ReferenceSequencer(
        dt_ms=int(par.dt_ms),
        class_delay_us=int(par.class_delay_us),
        jitter_frac=float(par.latency_jitter_frac),
        key=(int(par.seed_key0), int(par.seed_key1)),
    )


def ledger_of(v: VenueState) -> ReferenceLedger:
    """Read all rows into plain Python."""
    ledger = ReferenceLedger(treasury=int(v.par[0].row_treasury))
    for row in range(v.cash.shape[0]):
        ledger.balances[("cash", 0), row] = int(v.cash[row])
        for token in range(1, v.token.shape[1]):
            ledger.balances[("token", token), row] = int(v.token[row, token])
        for inst in range(v.perp.shape[1]):
            ledger.balances[("perp", inst), row] = int(v.perp[row, inst])
            ledger.entry_costs[inst, row] = int(v.entry_cost[row, inst])
        for cause in range(v.flow.shape[2]):
            for column, asset in enumerate(asset_columns(v)):
                ledger.flows[asset, row, cause] = int(v.flow[row, column, cause])
    return ledger


def asset_columns(v: VenueState) -> list[tuple[str, int]]:
    """Return what the second axis of `flow` stands for; the column of token 0 is not used."""
    tokens = [("token", token) for token in range(v.token.shape[1])]
    perps = [("perp", inst) for inst in range(v.perp.shape[1])]
    return [("cash", 0), *tokens, *perps]


def desk_of(v: VenueState, regimes: tuple[MarginRegime, ...] = ()) -> MarginDesk:
    """Read margin rules, prices and the reserve; regimes as well unless they are given."""
    par = v.par[0]
    return MarginDesk(
        assets=[_asset(v, asset) for asset in range(v.asset.shape[0])],
        tokens=[_token(v, token) for token in range(v.token_spec.shape[0])],
        reserve=reserve_of(v, 0),
        token_reserves={token: reserve_of(v, token) for token in range(1, v.token.shape[1])},
        rules=MarginRules(
            notional_floor_frac=float(par.notional_floor_frac),
            order_margin_buffer_frac=float(par.order_margin_buffer_frac),
            min_borrow_offset_usd=float(par.min_borrow_offset_usd * par.min_borrow_offset_on),
            user_cap_in_credit=bool(par.user_cap_in_credit),
            user_borrow_cap_micro=int(v.token_spec[0].user_borrow_cap),
            borrowable_in_credit=bool(par.borrowable_in_credit),
            trigger_ratio=float(par.pm_trigger_ratio),
            lends_below_micro=lends_below_micro(v),
        ),
        eligibility=Eligibility(
            volume_micro=int(par.eligible_volume_micro),
            value_micro=int(par.eligible_value_micro),
            value_max_micro=int(par.account_value_max_micro),
            value_max_later=int(par.value_max_later_policy),
            forget_e9=int(par.volume_forget_e9),
        ),
        outside=int(par.row_outside),
        pool=int(par.row_pool0),
        admission_on=bool(par.admission_on),
        price_band_frac=float(par.price_band_frac_e6) / 1e6,
        regimes=regimes or (regime_of(v, 0), regime_of(v, 1)),
        ranges=(ranges_of(v, 0), ranges_of(v, 1)),
    )


def lends_below_micro(v: VenueState) -> float:
    """Read the account value from which on nothing is lent any more; infinite if there is none."""
    if v.par[0].value_max_later_policy != VALUE_MAX_NO_LOANS:
        return math.inf
    return float(v.par[0].account_value_max_micro)


def _instrument(v: VenueState, inst: int) -> Instrument:
    spec = v.inst[inst]
    return Instrument(
        kind=int(spec.kind),
        k=int(spec.k),
        max_position_lots=int(spec.max_position_lots),
        tick_e8=int(spec.tick_e8),
        tick_usd=float(spec.tick_usd),
        token=int(spec.token),
        lot_units=int(spec.lot_units),
        asset=int(spec.asset),
        lot_size=float(spec.lot_size),
        max_leverage=int(v.asset[int(spec.asset)].max_leverage),
    )


def _participant(v: VenueState, user: int) -> Participant:
    account = v.user[user]
    return Participant(
        key=int(account.key),
        latency_us=int(account.latency_us),
        fee_tier=int(account.fee_tier),
        volume_14d_micro=int(account.volume_14d_micro),
        account_mode=int(account.account_mode),
        enrolled=bool(account.enrolled),
        breached=bool(account.breached),
        has_portfolio_regime=bool(v.row[user].regime == REGIME_PORTFOLIO),
        parent=int(account.parent),
        pocket_inst=int(account.pocket_inst),
        leverage={
            inst: int(v.leverage[user, inst])
            for inst in range(v.inst.shape[0])
            if v.inst[inst].kind == PERP
        },
    )


def _asset(v: VenueState, asset: int) -> AssetMarks:
    price, tiers = v.price[asset], v.tier[asset, : int(v.asset[asset].n_tiers)]
    return AssetMarks(
        mark_usd=float(price.mark_usd),
        oracle_usd=float(price.oracle_usd),
        borrow_oracle_usd=float(price.borrow_oracle_usd),
        confidence=float(v.dial[asset].oracle_confidence),
        tiers=[
            (float(t.lower_usd), float(t.maintenance_rate), float(t.deduction_usd)) for t in tiers
        ],
    )


def _token(v: VenueState, token: int) -> TokenRules:
    spec = v.token_spec[token]
    return TokenRules(
        asset=int(spec.asset),
        unit=int(spec.unit),
        ltv=float(spec.ltv),
        user_supply_cap=int(spec.user_supply_cap),
        counted_share=float(v.reserve[token].counted_share),
        credit_weight=float(spec.credit_weight),
    )


def reserve_of(v: VenueState, token: int) -> ReferenceReserve:
    """Read the reserve of a token into plain Python."""
    spec, record, par, users = v.token_spec[token], v.reserve[token], v.par[0], range(len(v.user))
    pool = int(par.row_pool0) + token
    return ReferenceReserve(
        pool=int(v.cash[pool]) if token == 0 else int(v.token[pool, token]),
        debts={row: int(v.debt[row, token]) for row in users},
        supplies={row: int(v.supply[row, token]) for row in users},
        retained=int(record.retained),
        claim=int(record.claim),
        user_borrow_cap=int(spec.user_borrow_cap),
        platform_borrow_cap=int(spec.platform_borrow_cap),
        user_supply_cap=int(spec.user_supply_cap),
        platform_supply_cap=int(spec.platform_supply_cap),
        rate_base=float(spec.rate_base),
        rate_low_slope=float(spec.rate_low_slope),
        rate_slope=float(spec.rate_slope),
        kink=float(spec.kink_utilisation),
        retained_frac_e6=int(par.retained_frac_e6),
        is_simple=bool(par.interest_is_simple),
        borrowable=bool(spec.borrowable),
        retained_used=int(record.retained_used),
        supplier_loss=int(record.supplier_loss),
        last_rates=(
            float(record.utilisation),
            float(record.borrow_rate),
            float(record.supply_rate),
            int(record.last_step_e15),
        ),
    )
