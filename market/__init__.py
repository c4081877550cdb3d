"""The venue and its world: order books, ledger, margin, reserves, resolution, prices."""

# First of all: the sources are read for the cache key before any kernel can be made of them.
from stressbook.market import kernel as _kernel

_kernel.cache_folder()
