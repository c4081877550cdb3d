"""Messages a second of the order book, with ledger, fees, open orders and client ids on.

The matching of a step, as the simulation calls it, in batches of 200 on the streams of
`benchmarks.lob_stream`; admission and price band off. Order id = client id, account
`(id - 1) % 250`, sellers 250 higher; market orders are IOC orders at the end of the ladder;
cancels name the client id. The tape must be that of the plain-Python book, whose replay in the
same run is the reference loop. CPU time of one core, median of 7 runs after one that is not
counted; a fresh venue each.
"""

import argparse
import statistics
import time
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from benchmarks.lob_stream import BUY, CANCEL, MARKET, SHAPES, Stream, make_stream, replay
from stressbook.market.by_address import compiled_call
from stressbook.market.codes import GTC, IOC, OP_CANCEL_CLIENT_ID, OP_NEW
from stressbook.market.depth import open_books, sample_books
from stressbook.market.kernel import kernel
from stressbook.market.match import match_batch
from stressbook.market.setup import AccountOpening, make_state
from stressbook.market.spec import load_preset
from stressbook.market.state import (
    C_FILLS,
    C_REPLIES,
    MESSAGE,
    N_TICKS,
    Capacity,
    Records,
    VenueState,
)

BATCH: Final = 200
RUNS: Final = 7
ACCOUNTS_A_SIDE: Final = 250
TAPE_FIELDS: Final = ["taker_client_id", "maker_client_id", "price_tick", "qty_lots"]


@kernel
def run_batch(v: VenueState, messages: Records, n: int, t_ms: int) -> None:
    """Do what a step does with its sequenced messages."""
    v.ctr[C_FILLS] = 0
    v.ctr[C_REPLIES] = 0
    open_books(v)
    match_batch(v, messages, n, t_ms)
    sample_books(v)


def as_messages(stream: Stream) -> list[Records]:
    """Return batches of venue messages for a stream."""
    messages = np.zeros(len(stream.kind), MESSAGE)
    is_cancel, is_market = stream.kind == CANCEL, stream.kind == MARKET
    end_of_ladder = np.where(stream.side == BUY, N_TICKS - 1, 1)
    messages["op"] = np.where(is_cancel, OP_CANCEL_CLIENT_ID, OP_NEW)
    messages["user"] = (stream.oid - 1) % ACCOUNTS_A_SIDE + ACCOUNTS_A_SIDE * stream.side
    messages["side"] = stream.side
    messages["tif"] = np.where(is_market, IOC, GTC)
    messages["price_tick"] = np.where(is_market, end_of_ladder, stream.price)
    messages["qty_lots"] = stream.qty
    messages["client_id"] = stream.oid
    return [messages[first : first + BATCH] for first in range(0, len(messages), BATCH)]


def make_venue(target_live: int) -> VenueState:
    """Return a venue of one perp and 500 accounts, with room for what will rest."""
    preset = load_preset("hyperliquid").with_values(
        {"orders.admission_on": False, "orders.price_band_frac": 0.0}
    )
    spec = replace(preset, instruments=preset.instruments[:1])
    accounts = [AccountOpening(key=(1 << 20) + user) for user in range(2 * ACCOUNTS_A_SIDE)]
    orders = max(16_384, 1 << (target_live - 1).bit_length())
    return make_state(spec, accounts, seed=1, capacity=Capacity(orders=orders, fills=2 * orders))


def tape_of(target_live: int, batches: list[Records]) -> npt.NDArray[np.int64]:
    """Run once and return all trades."""
    v = make_venue(target_live)
    pages = []
    for t_ms, batch in enumerate(batches):
        run_batch(v, batch, len(batch), t_ms)
        fills = v.fill[: v.ctr[C_FILLS]]
        pages.append(np.stack([fills[name] for name in TAPE_FIELDS], axis=1))
    return np.concatenate(pages)


def seconds_of_run(target_live: int, batches: list[Records]) -> float:
    """Return the CPU time of one run over all batches."""
    v = make_venue(target_live)
    call = compiled_call(run_batch, v, batches[0], 0, 0)
    begin = time.process_time()
    for t_ms, batch in enumerate(batches):
        call(v, batch, len(batch), t_ms)
    return time.process_time() - begin


def measure(name: str, n: int) -> float:
    """Print the speed of one shape of book; return its median time a message, ns."""
    stream = make_stream(name, n)
    target_live, batches = SHAPES[name].target_live, as_messages(stream)
    same_tape = np.array_equal(tape_of(target_live, batches), stream.tape)
    times = [seconds_of_run(target_live, batches) / n * 1e9 for _ in range(RUNS)]
    begin = time.process_time()
    replay(stream)
    reference = (time.process_time() - begin) / n * 1e9
    median = statistics.median(times)
    print(
        f"{name:4} {1e3 / median:5.1f} M messages/s: {median:5.1f} ns, "
        f"{min(times):.1f} to {max(times):.1f}; {reference / median:.1f} times the reference loop"
        f" ({reference:.0f} ns); tape {'as in the reference' if same_tape else 'DIFFERS'}"
    )
    return median


def main() -> None:
    """Measure all shapes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=1_000_000, help="messages of each stream")
    n = parser.parse_args().n
    medians = {name: measure(name, n) for name in SHAPES}
    for name in ("wide", "deep"):
        print(f"{name} takes {medians[name] / medians['std']:.2f} times std's time a message")


if __name__ == "__main__":
    main()
