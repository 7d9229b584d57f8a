"""The entry point: ``chatcli`` and ``python -m chatcli``."""

import sys

from chatcli.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
