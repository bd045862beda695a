"""``python -m ftim.cli``."""

import sys

from ftim.cli.commands import main

if __name__ == "__main__":
    sys.exit(main())
