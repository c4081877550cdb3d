"""Run the reference studies again: `python -m stressbook.experiments.studies.reference`."""

from __future__ import annotations

import sys

from stressbook.experiments.studies.reference.rebuild import main

if __name__ == "__main__":
    sys.exit(main())
