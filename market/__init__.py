"""The venue and its world: order books, ledger, margin, reserves, resolution, prices."""

from stressbook.market.compiling.kernel_cache import cache_folder as _read_sources

# Before any kernel can be made of them.
_read_sources()
