"""Many files at a time, with progress; a job that is rejected at a bound is retried for a minute:

python examples/many.py
"""

from pathlib import Path

from voxpool import SyncClient

files = sorted(Path(__file__).parent.glob("*.wav"))
with SyncClient(retry_s=60) as client:
    audios = (file.read_bytes() for file in files)  # files are read when they are needed
    for count, done in enumerate(client.map(audios, "en:en", at_most=4), 1):
        answer = done.result.output if done.completed and done.result else done.rejected or done.result
        print(f"{count}/{len(files)} {files[done.index].name}: {answer}")
