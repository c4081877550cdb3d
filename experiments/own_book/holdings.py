"""What a population file says: holdings as they were written, one a row, and their plain form."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from hashlib import sha256
from typing import Final

__all__ = ["COLUMNS", "KINDS", "REQUIRED", "Holding", "OwnBook"]

KINDS: Final = ("cash", "token", "perp", "debt", "supply")


@dataclass(frozen=True)
class Holding:
    """One row of a population file, as text; see `docs/own-book.md`.

    Parameters
    ----------
    account : str
        Name of the account.
    kind : str
        Of `KINDS`.
    asset : str
        "USDC", a token, or the asset of a perp.
    amount : str
        USDC or coins; of perps signed.
    entry_price_usd : str
        Of perps.
    leverage : str
        Of perps; the venue's maximum if empty.
    account_mode, owner, volume_14d_usd, class_ : str
        Of the account.
    place : str
        Where it stands in its file, for errors.
    """

    account: str
    kind: str
    asset: str
    amount: str
    entry_price_usd: str = ""
    leverage: str = ""
    account_mode: str = ""
    owner: str = ""
    volume_14d_usd: str = ""
    class_: str = ""
    place: str = field(default="", compare=False)


COLUMNS: Final = tuple(
    entry.name.removesuffix("_") for entry in fields(Holding) if entry.name != "place"
)
REQUIRED: Final = COLUMNS[:4]


@dataclass(frozen=True)
class OwnBook:
    """The content of a population file.

    Parameters
    ----------
    file : str
        Its name, without folders.
    holdings : tuple of Holding
        In the order of the file.

    Examples
    --------
    >>> book = OwnBook("desk.csv", (Holding("desk", "cash", "USDC", "5"),))
    >>> print(book.text().splitlines()[1])
    desk,cash,USDC,5,,,,,,
    """

    file: str
    holdings: tuple[Holding, ...]

    @property
    def account_names(self) -> tuple[str, ...]:
        """Names of the accounts, in the order in which they first stand."""
        return tuple(dict.fromkeys(one.account for one in self.holdings))

    def text(self) -> str:
        """Return the holdings as CSV: equal holdings give equal text, whatever file they are of."""
        return csv_text(self.holdings)

    def digest(self) -> str:
        """Return the SHA-256 of the holdings, in hexadecimal."""
        return sha256(self.text().encode()).hexdigest()


def csv_text(holdings: Sequence[Holding]) -> str:
    """Return holdings as CSV with all columns."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    names = [entry.name for entry in fields(Holding) if entry.name != "place"]
    writer.writerows([getattr(one, name) for name in names] for one in holdings)
    return out.getvalue()
