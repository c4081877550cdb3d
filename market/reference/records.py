"""What goes into the matching and what comes out, with the fields of the compiled records."""

from dataclasses import dataclass, field
from typing import NamedTuple

from stressbook.market.state.codes import PERP

__all__ = ["Event", "FeeRates", "Fill", "Instrument", "Message", "Participant", "Reply"]


class Message(NamedTuple):
    """What a user asks for: fields of `state.MESSAGE`."""

    op: int
    user: int
    inst: int = 0
    side: int = 0
    tif: int = 0
    flags: int = 0
    price_tick: int = 0
    qty_lots: int = 0
    client_id: int = 0
    handle: int = 0


class Reply(NamedTuple):
    """What it hears: fields of `state.REPLY`."""

    code: int
    user: int
    client_id: int
    handle: int = 0
    filled_lots: int = 0


class Fill(NamedTuple):
    """One trade: fields of `state.FILL`."""

    t_ms: int
    inst: int
    price_tick: int
    qty_lots: int
    taker: int
    maker: int
    taker_side: int
    flags: int
    taker_client_id: int
    maker_client_id: int
    taker_fee_micro: int
    maker_fee_micro: int


class Event(NamedTuple):
    """What happened beside trades: fields of `state.EVENT`."""

    t_ms: int
    kind: int
    user: int
    inst: int
    lots: int
    price_e8: int
    amount_micro: int = 0
    cause: int = 0
    counterparty: int = -1


class FeeRates(NamedTuple):
    """Fees of one tier, in 1e-7 of the notional; negative is a rebate."""

    perp_taker_e7: int = 0
    perp_maker_e7: int = 0
    spot_taker_e7: int = 0
    spot_maker_e7: int = 0


@dataclass
class Instrument:
    """What the matching knows of an instrument: fields of `state.INSTRUMENT`."""

    kind: int
    k: int
    max_position_lots: int
    tick_e8: int = 1
    tick_usd: float = 1e-8
    token: int = 0
    lot_units: int = 1
    asset: int = 0
    lot_size: float = 1.0
    max_leverage: int = 1

    @property
    def is_perp(self) -> bool:
        """Whether positions are perps, not tokens."""
        return self.kind == PERP


@dataclass
class Participant:
    """A user: what the matching reads and keeps up."""

    key: int = 0
    latency_us: int = 0
    fee_tier: int = 0
    volume_14d_micro: int = 0
    account_mode: int = 0
    enrolled: bool = False
    breached: bool = False
    has_portfolio_regime: bool = False
    parent: int = -1  # of the pocket of an isolated perp its account
    pocket_inst: int = -1
    leverage: dict[int, int] = field(default_factory=dict)
