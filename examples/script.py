"""A client in a plain script, without asyncio: python examples/script.py [FILE.wav…]"""

import sys
from pathlib import Path

from voxpool import SyncClient

files = [Path(name) for name in sys.argv[1:]] or sorted(Path(__file__).parent.glob("*.wav"))
with SyncClient() as client:
    for file in files:
        result = client.submit(file.read_bytes(), pair="en:en")
        print(file.name, result.state, result.output or result.error)
