"""The audio of a job: commands beside the scripts of lua/jobs/, in the same flush."""

from __future__ import annotations

from collections.abc import Sequence

from voxpool.scheduler.core.scripts import ScriptCall


def audio_name_of(meta: str) -> str:
    """Return the name of the audio of the job with this `meta`: its first word."""
    return meta.partition(" ")[0]


def audio_key(partition: int, name: str) -> str:
    """Return the key of an audio; it lies in the slot of its partition."""
    return f"vp:jobs:{{{partition}}}:audio:{name}"


def keep_audio(key: str, audio: bytes, seconds: int) -> ScriptCall:
    """Answer: [OK]. The time to live is the owner of audio whose schedulers have died."""
    return ScriptCall("SET", [key, str(seconds)], audio)


def read_audio(keys: Sequence[str]) -> ScriptCall:
    """Answer: the bytes for each key, b"" where there is nothing; audio_of reads it."""
    return ScriptCall("MGET", list(keys))


def audio_of(answer: Sequence[object]) -> list[bytes]:
    """Return the audio in an answer of read_audio, the one answer that is not text."""
    found = []
    for audio in answer:
        assert isinstance(audio, bytes)
        found.append(audio)
    return found


def drop_audio(keys: Sequence[str]) -> ScriptCall:
    """Answer: [count]."""
    return ScriptCall("UNLINK", list(keys))
