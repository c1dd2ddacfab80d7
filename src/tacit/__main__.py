"""The entry of `tacit` and of `python -m tacit`: Ctrl-C while the command line is still imported is no traceback."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    try:
        from tacit.cli.main import main as run

        run()
    except KeyboardInterrupt:
        print("tacit: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
