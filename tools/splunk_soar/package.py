"""`soarapps package build`, four downloads at a time: the SDK starts all at once, which slow networks answer with time-outs."""

import asyncio
import sys
from pathlib import Path

from soar_sdk.cli.package.cli import build
from soar_sdk.meta.dependencies.sources import UvWheel

_AT_ONCE = 4


def main() -> None:
    """Build the app in this folder into the file named on the command line."""
    slots = asyncio.Semaphore(_AT_ONCE)
    fetch = UvWheel.fetch

    async def in_turn(wheel: UvWheel) -> bytes:
        async with slots:
            return await fetch(wheel)

    UvWheel.fetch = in_turn
    output = Path(sys.argv[1] if len(sys.argv) > 1 else "aegis.tgz")
    build(Path(__file__).resolve().parent, output_file=output, with_sdk_wheel_from=None)


if __name__ == "__main__":
    main()
