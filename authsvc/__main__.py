"""`python -m authsvc` and the console script."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; say what is missing when only the resource-server kit is installed."""
    try:
        import click  # noqa: F401 - a probe
    except ImportError:
        sys.exit('This installation holds the resource-server kit only. For the service: pip install "authsvc[server]"')
    from authsvc.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
