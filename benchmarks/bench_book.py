"""Messages a second of the order book, with ledger, fees, open orders and client ids on.

The matching of a step, as the simulation calls it, in batches of 200 on the streams of
`benchmarks.lob_stream`; admission and price band off. Order id = client id, account
`(id - 1) % 250`, sellers 250 higher; market orders are IOC orders at the end of the ladder;
cancels name the client id. The streams must have their published hash, and the tape must be that of
the plain-Python book, whose replay is the reference loop. CPU time of one core, a fresh venue each
run; 7 runs a shape after one that is not counted, the shapes in turn: a ratio of two shapes is the
median over turns.
"""

import argparse
import sys
import time
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.goals import Times, cpu_seconds, judged
from benchmarks.lob_stream import (
    BUY,
    CANCEL,
    IDENTITY,
    MARKET,
    SHAPES,
    Stream,
    make_stream,
    replay,
)
from stressbook.market.compiling.arrays import Records
from stressbook.market.compiling.by_address import compiled_call
from stressbook.market.compiling.kernel import kernel
from stressbook.market.opening.setup import AccountOpening, make_state
from stressbook.market.orders.depth import open_books, sample_books
from stressbook.market.orders.match import match_batch
from stressbook.market.rules.spec import load_preset
from stressbook.market.state.codes import GTC, IOC, OP_CANCEL_CLIENT_ID, OP_NEW
from stressbook.market.state.records import (
    C_FILLS,
    C_REPLIES,
    MESSAGE,
    N_TICKS,
    Capacity,
    VenueState,
)

BATCH: Final = 200
RUNS: Final = 7
ACCOUNTS_A_SIDE: Final = 250
GOAL_RATE: Final = 18.0  # million messages a second of the std stream
GOAL_RATIOS: Final = {"wide": 1.3, "deep": 1.6}  # to std's time a message
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
        {"orders.admission_on": False, "orders.price_band_frac": 0.0, "orders.order_min_usd": 0.0}
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
    call = compiled_call(run_batch, v, then=(batches[0], 0, 0))
    begin = time.process_time()
    for t_ms, batch in enumerate(batches):
        call(batch, len(batch), t_ms)
    return time.process_time() - begin


class Shape(NamedTuple):
    """A stream, ready to be run."""

    target_live: int
    batches: list[Records]
    reference_ns: float  # CPU time a message of the plain-Python book
    is_right: bool  # whether stream and tape are those that they must be


def prepare(name: str, n: int) -> Shape:
    """Make a stream, check it and the tape of one run, and time the reference loop."""
    stream = make_stream(name, n)
    target_live, batches = SHAPES[name].target_live, as_messages(stream)
    same_stream = stream.identity() == IDENTITY.get((name, n), stream.identity())
    same_tape = np.array_equal(tape_of(target_live, batches), stream.tape)
    reference_ns = cpu_seconds(lambda: replay(stream)) / n * 1e9
    print(
        f"{name:4} {n:,} messages, stream {'as' if same_stream else 'NOT as'} published, "
        f"tape {'as' if same_tape else 'NOT as'} in the plain-Python book ({reference_ns:.0f} ns)"
    )
    return Shape(target_live, batches, reference_ns, same_stream and same_tape)


def measure(shapes: dict[str, Shape], n: int) -> dict[str, list[float]]:
    """Return times a message, ns, by shape; shapes take turns, so that they share the weather."""
    times: dict[str, list[float]] = {name: [] for name in shapes}
    for _ in range(RUNS):
        for name, shape in shapes.items():
            seconds = seconds_of_run(shape.target_live, shape.batches)
            times[name].append(seconds / n * 1e9)
    return times


def main() -> int:
    """Measure all shapes; return 1 if a stream or a tape is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=1_000_000, help="messages of each stream")
    n = parser.parse_args().n
    shapes = {name: prepare(name, n) for name in SHAPES}
    times = measure(shapes, n)
    for name, values in times.items():
        ns = Times.of(values)
        print(f"{name:4} {ns.median:.1f} ns a message, {ns.low:.1f} to {ns.high:.1f}")
    rate = Times.of(times["std"]).inverse().scaled(1e3)
    ratio = _times_reference("std", shapes, times)
    promise = f"order book, std, at least {GOAL_RATE} M messages/s"
    print(judged(promise, rate, unit="M/s", ratio=ratio, at_least=GOAL_RATE))
    for name, bound in GOAL_RATIOS.items():
        pairs = zip(times[name], times["std"], strict=True)
        longer = Times.of(mine / std for mine, std in pairs)
        promise = f"order book, {name}, at most {bound} times std's time a message"
        ratio = _times_reference(name, shapes, times)
        print(judged(promise, longer, unit="times", ratio=ratio, at_most=bound))
    return not all(shape.is_right for shape in shapes.values())


def _times_reference(name: str, shapes: dict[str, Shape], times: dict[str, list[float]]) -> str:
    faster = shapes[name].reference_ns / Times.of(times[name]).median
    return f"{faster:.0f} times the plain-Python book"


if __name__ == "__main__":
    sys.exit(main())
