"""How far those who borrow go: what is left free of every limit of a debt."""

from typing import Final

__all__ = ["CAP_SHARE"]

CAP_SHARE: Final = 0.9  # of what may be owed: at a cap inside the credit the ratio is 1, a breach
