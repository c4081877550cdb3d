"""What must hold inside the arrays of the books, whatever was done to them."""

import numpy as np

from stressbook.market.orders.client_ids import find_client_id, hash_client_id
from stressbook.market.state.records import C_FREE, C_LIVE, C_USED_SLOTS, EMPTY_ASK, EMPTY_BID


def check_books(v, insts=None):
    """Queues, bitmaps, owners' lists, client ids and free slots tell the same story."""
    live = []
    for inst in range(v.inst.shape[0]) if insts is None else insts:
        live += check_ladder(v, inst)
    assert len(live) == len(set(live)) == v.ctr[C_LIVE]
    assert sorted(live + free_links(v)) == list(range(1, int(v.ctr[C_USED_SLOTS]) + 1))
    check_owners(v, live)
    check_client_ids(v, live)


def check_ladder(v, inst):
    """Walk every queue of a book; return its links."""
    level = v.level[inst]
    heads = np.flatnonzero(level.view(np.int64)[::2] != 0)  # head and tail in one word
    links = []
    sides = {0: [], 1: []}
    for tick in heads.tolist():
        queue = queue_of(v, int(level[tick].head))
        assert queue[-1] == level[tick].tail
        orders = [v.order[link - 1] for link in queue]
        assert level[tick].qty_lots > 0
        assert sum(int(order.qty_lots) for order in orders) == level[tick].qty_lots
        assert {(int(o.inst), int(o.price_tick)) for o in orders} == {(inst, tick)}
        (side,) = {int(order.side) for order in orders}
        sequence = [int(order.sequence) for order in orders]
        assert sequence == sorted(sequence)
        sides[side].append(tick)
        links += queue
    for side, ticks in sides.items():
        check_bitmaps(v, inst, side, ticks)
    bid, ask = (int(tick) for tick in v.best[inst])
    assert bid == max(sides[0], default=EMPTY_BID)
    assert ask == min(sides[1], default=EMPTY_ASK)
    assert bid < ask
    assert v.book[inst].n_orders == len(links)
    return links


def queue_of(v, link):
    queue, before = [], 0
    while link != 0:
        assert v.order[link - 1].prev_slot == before
        queue.append(link)
        before, link = link, int(v.order[link - 1].next_slot)
    return queue


def check_bitmaps(v, inst, side, ticks):
    for bits, shift in ((v.bits0, 0), (v.bits1, 6)):
        assert marked_bits(bits[inst, side]) == sorted({tick >> shift for tick in ticks})
    assert int(v.bits2[inst, side]) == sum(1 << word for word in {tick >> 12 for tick in ticks})


def marked_bits(words):
    """Return the places of the ones, read from the words that hold any: nearly all hold none."""
    used = np.flatnonzero(words)
    ones = np.flatnonzero(np.unpackbits(words[used].view(np.uint8), bitorder="little"))
    return (64 * used[ones >> 6] + (ones & 63)).tolist()


def free_links(v):
    free, link = [], int(v.ctr[C_FREE])
    while link != 0:
        assert v.order[link - 1].qty_lots == 0
        free.append(link)
        link = int(v.order[link - 1].next_slot)
    return free


def check_owners(v, live):
    found = []
    for user in range(v.user.shape[0]):
        for inst in range(v.inst.shape[0]):
            link, before = int(v.own_head[user, inst]), 0
            while link != 0:
                order = v.order[link - 1]
                assert (order.user, order.inst, order.prev_own) == (user, inst, before)
                found.append(link)
                before, link = link, int(order.next_own)
    assert sorted(found) == sorted(live)


def check_client_ids(v, live):
    named = [link for link in live if v.order[link - 1].client_id != 0]
    assert np.count_nonzero(v.client_slot) == len(named)
    for link in named:
        user, client_id = int(v.order[link - 1].user), int(v.order[link - 1].client_id)
        client_hash = hash_client_id(user, client_id)
        assert find_client_id(v, user, client_id, client_hash) == link
