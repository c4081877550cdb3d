"""Shares again, as the rules read: by score, by size, by leverage."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["by_leverage", "by_score", "by_size"]


def by_score(sizes: Mapping[int, int], scores: Mapping[int, float], wanted: int) -> dict[int, int]:
    """Return who gives what, in order: the highest score first, of equal ones the first.

    Examples
    --------
    >>> by_score({1: 100, 2: 100}, {1: 1.0, 2: 2.6}, 150)
    {2: 100, 1: 50}
    """
    taken: dict[int, int] = {}
    for user in sorted(sizes, key=lambda user: -scores[user]):
        if wanted > 0:
            taken[user] = min(sizes[user], wanted)
            wanted -= taken[user]
    return taken


def by_size(sizes: Mapping[int, int], wanted: int) -> dict[int, int]:
    """Return the same share of each, in whole units by largest remainder.

    Examples
    --------
    >>> by_size({1: 5, 2: 3, 3: 3}, 4)
    {1: 2, 2: 1, 3: 1}
    """
    total = sum(sizes.values())
    if total <= wanted:
        return dict(sizes)
    shares = {user: divmod(wanted * size, total) for user, size in sizes.items()}
    n_more = wanted - sum(whole for whole, _ in shares.values())
    lucky = sorted(shares, key=lambda user: -shares[user][1])[:n_more]
    return {user: whole + (user in lucky) for user, (whole, _) in shares.items()}


def by_leverage(
    sizes: Mapping[int, int], lots_per_leverage: Mapping[int, float], wanted: int
) -> dict[int, int]:
    """Return what is cut of each so that the most levered have one leverage.

    Examples
    --------
    >>> by_leverage({1: 100, 2: 80, 3: 20}, {1: 10.0, 2: 20.0, 3: 10.0}, 90)
    {1: 70, 2: 20, 3: 0}
    """
    if sum(sizes.values()) <= wanted:
        return dict(sizes)
    level = 0.0
    cut: list[int] = []
    before = [-1]
    while cut != before:
        before = cut
        cut = [u for u, size in sizes.items() if float(size) > level * lots_per_leverage[u]]
        lots, per_leverage = sum(sizes[u] for u in cut), 0.0
        for user in cut:
            per_leverage += lots_per_leverage[user]
        if lots <= wanted or per_leverage <= 0.0:
            break
        level = float(lots - wanted) / per_leverage
    wish = {u: max(0.0, float(size) - level * lots_per_leverage[u]) for u, size in sizes.items()}
    taken, rest = {}, {}
    left = wanted
    for user, lots_wished in wish.items():
        taken[user] = min(int(lots_wished), sizes[user], left)
        rest[user] = lots_wished - float(taken[user])
        left -= taken[user]
    for _ in range(left):
        open_to_more = [user for user in sizes if taken[user] < sizes[user]]
        first = max(open_to_more, key=lambda user: rest[user])
        taken[first] += 1
        rest[first] -= 1.0
    return taken
