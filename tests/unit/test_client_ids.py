"""The table of client ids: probing, deletion without tombstones, names whose hashes collide."""

import numpy as np
import pytest

from stressbook.market.orders.client_ids import (
    find_client_id,
    forget_client_id,
    hash_client_id,
    note_client_id,
    table_size,
)
from tests.exchange_twin import venue

pytestmark = pytest.mark.boundscheck


def name(v, link, user, client_id, client_hash):
    v.order[link - 1].user, v.order[link - 1].client_id = user, client_id
    note_client_id(v, link, client_hash)


@pytest.mark.parametrize(("orders", "size"), [(1, 2), (2, 4), (3, 8), (1000, 2048), (1024, 2048)])
def test_half_of_the_table_stays_empty(orders, size):
    assert table_size(orders) == size


def test_equal_hashes_do_not_mix_up_users_or_ids():
    v = venue(1)
    name(v, 1, 3, 7, 5)
    assert find_client_id(v, 3, 7, 5) == 1
    assert find_client_id(v, 4, 7, 5) == 0
    assert find_client_id(v, 3, 8, 5) == 0


def test_deletions_in_any_order_leave_the_others_to_be_found():
    v = venue(1)
    size = v.client_slot.shape[0]
    rng = np.random.default_rng(3)
    # Homes at the end of the table, so that runs go around it.
    homes = {link: int(size - 3 + rng.integers(4)) % size for link in range(1, 25)}
    for _ in range(50):
        for link in rng.permutation(24).tolist():
            name(v, link + 1, 0, 100 + link, homes[link + 1])
        left = set(homes)
        for link in rng.permutation(list(homes)).tolist():
            forget_client_id(v, link, homes[link])
            left.remove(link)
            found = {k: find_client_id(v, 0, 99 + k, homes[k]) for k in homes}
            assert found == {k: k if k in left else 0 for k in homes}
        assert not v.client_slot.any()


def test_ids_in_a_row_and_users_in_a_row_spread_over_the_table():
    homes = {
        hash_client_id(user, client_id) % 4096 for user in range(40) for client_id in range(50)
    }
    assert len(homes) > 1400  # 2,000 names; chance would leave 1,580


def test_hashes_are_31_bits_for_any_id():
    for client_id in (-(2**63), -1, 0, 2**31, 2**63 - 1):
        assert 0 <= hash_client_id(3, client_id) < 2**31
