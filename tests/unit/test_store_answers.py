"""The table of error answers and their meanings; an unlisted answer is retried like a temporary one."""

from __future__ import annotations

import pytest
from redis._parsers import BaseParser

from tests.e2e import bad_answers
from voxpool.scheduler.stores.answers import meaning_of, text_of
from voxpool.scheduler.stores.meanings import BROKEN, LOST_DATA, NOT_NOW, TAKEN, TOPOLOGY, UNKNOWN

MEANS = {
    **dict.fromkeys((*bad_answers.REDIS, *bad_answers.VALKEY, *bad_answers.ENVOY, *bad_answers.TWEMPROXY), NOT_NOW),
    **dict.fromkeys((*bad_answers.REPLICAS, *bad_answers.CLUSTER, *bad_answers.SENTINEL), TOPOLOGY),
    "ERR unknown": UNKNOWN,
    "REDIRECT 10.0.0.7:6379": TOPOLOGY,
    "TRYAGAIN Multiple keys request during rehashing of slot": NOT_NOW,
    **{text: NOT_NOW for text in bad_answers.SENTINEL if "unknown command" in text},
    **{text: LOST_DATA for text in bad_answers.TEXTS if text.startswith("NOSCRIPT")},
    **{text: TAKEN for text in bad_answers.TEXTS if text.startswith("WRONGTYPE")},
    **dict.fromkeys(bad_answers.NOBODY_KNOWS, UNKNOWN),
    "ERR user_script:1: own words script: 2412c3617e0406bfe17ba48a9b806fbffa48309c, on @user_script:1.": BROKEN,
    "ERR user_script:1: attempt to index local 'x' (a nil value) script: on @user_script:1.": BROKEN,
    "ERR Error compiling script (new function): user_script:1: '=' expected near 'is'": BROKEN,
    "ERR value is not a valid float script: on @user_script:9.": BROKEN,
    "NEWCODE that a command was answered script: on @user_script:9.": UNKNOWN,
}


@pytest.mark.parametrize(("text", "means"), MEANS.items(), ids=[text[:40] for text in MEANS])
def test_each_answer_has_its_meaning(text: str, means: str) -> None:
    error = BaseParser.parse_error(text)  # type: ignore[no-untyped-call]
    assert (meaning_of(error), text_of(error)) == (means, text)


def test_errors_of_the_connection_are_temporary() -> None:
    """Sockets break, bytes can't be decoded."""
    for error in (
        ConnectionResetError(),
        TimeoutError(),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "?"),
        ValueError(),
    ):
        assert meaning_of(error) == NOT_NOW and text_of(error)
