"""Rebuild the table of how the market behaves: `python -m stressbook.experiments.validation`."""

from __future__ import annotations

from stressbook.experiments.validation.rebuild import main

if __name__ == "__main__":
    main()
