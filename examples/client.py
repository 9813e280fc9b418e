"""A client in ten lines: python examples/client.py [FILE.wav…] (needs `voxpool serve` and a node for en:en)."""

import asyncio
import sys
from pathlib import Path

from voxpool import Client


async def main(files: list[Path]) -> None:
    async with Client() as client:  # or Client("wss://voxpool.example", token="…")
        for file in files:
            result = await client.submit(file.read_bytes(), pair="en:en")
            print(file.name, result.state, result.output or result.error)


if __name__ == "__main__":
    here = Path(__file__).parent
    asyncio.run(main([Path(name) for name in sys.argv[1:]] or sorted(here.glob("*.wav"))))
