"""What is wrong with a value from outside, as a sentence: one translator for HTTP, WebSockets, settings and scenarios.

msgspec reports "Expected `str` matching regex '…' - at `$.pair`". A person reads "pair must be source:target, such as
zh:en". Nothing here knows where a value came from: the caller names the file, flag or message before the sentence.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

import msgspec

PAIR_FORM = "source:target, such as zh:en"
NAME_FORM = "1 to 64 of A-Z a-z 0-9 . _ -"
FORMS: Mapping[str, str] = {
    "pair": PAIR_FORM,
    "pairs": PAIR_FORM,
    "sha256": "64 hexadecimal digits",
    "order": "submit or fair",
}
"""Last name of a place -> how a text there has to look; every other pattern of ours is that of names."""
MISSING = "is missing"
SHOWN_MAX = 80
"""Characters of a foreign word that a sentence repeats."""
_KINDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
    "bytes": "bytes",
    "bin": "bytes",
}
_WORDS: tuple[tuple[str, Callable[[re.Match[str], str], str]], ...] = (
    (r"Object missing required field `(?P<key>\w+)`", lambda _, __: MISSING),
    (r"Object contains unknown field `(?P<key>[^`]*)`", lambda _, __: "is not known here"),
    (r"Expected `(?P<kind>[^`]+)` matching regex .*", lambda found, form: f"must be {form}"),
    (r"Expected `(?:int|float)` that's a multiple of 1(?:\.0)?", lambda _, __: "must be a whole number"),
    (
        r"Expected `(?P<kind>[^`]+)` of length (?P<sign><=|>=|==) (?P<bound>\d+)",
        lambda found, _: f"must have {_bound(found)} {_unit(found)}",
    ),
    (
        r"Expected `array` of length (?P<bound>\d+)(?:, got (?P<other>\d+))?",
        lambda found, _: f"must have exactly {found['bound']} entries",
    ),
    (
        r"Expected `(?P<kind>[^`]+)` (?P<sign><=|>=|<|>) (?P<bound>\S+)",
        lambda found, _: f"must be {_bound(found)}",
    ),
    (
        r"Expected `(?P<kind>[^`]+)`, got `(?P<other>[^`]+)`",
        lambda found, _: f"must be {_wanted(found['kind'])}, and is {_kinds(found['other'])}",
    ),
    (r"Expected `(?P<kind>[^`]+)`", lambda found, _: f"must be {_wanted(found['kind'])}"),
    (r"Invalid (?:enum )?value (?P<value>.*)", lambda found, _: f"can't be {found['value'][:SHOWN_MAX]}"),
    (r"Invalid base64 encoded string", lambda _, __: "must be base64"),
    (r"Integer value out of range", lambda _, __: "is too large a number"),
)
_UNITS = {"str": ("character", "characters"), "bytes": ("byte", "bytes")}
_SIGNS = {"<=": "at most", ">=": "at least", "<": "below", ">": "above", "==": "exactly"}
_AT = re.compile(r"(?P<what>.*?)(?: - at `(?:key in )?\$\.?(?P<where>[^`]*)`)?", re.DOTALL)


class Wrong(NamedTuple):
    """`where` is the place in the value, such as traffic[0].pair; "" is the whole. `text` says what is wrong there."""

    where: str
    text: str

    @property
    def field(self) -> str:
        """The first name of the place, or "" for the whole."""
        return re.split(r"[.\[]", self.where, maxsplit=1)[0]

    @property
    def sentence(self) -> str:
        """Both together."""
        return f"{self.where or 'it'} {self.text}"


def wrong(error: msgspec.ValidationError, known: Collection[str] = ()) -> Wrong:
    """Return what msgspec found as words for people; `known` are the names that a misspelt one may have meant."""
    match = _AT.fullmatch(str(error))
    assert match is not None, error
    what, where = match["what"], match["where"] or ""
    for pattern, words in _WORDS:
        found = re.fullmatch(pattern, what, re.DOTALL)
        if found is None:
            continue
        key = found.groupdict().get("key")
        if key is not None:
            where = f"{where}.{key[:SHOWN_MAX]}" if where else key[:SHOWN_MAX]
        text = words(found, _form(where))
        if key is not None and "unknown" in what and known:
            text += f": {nearest(key, known)}"
        return Wrong(where, text)
    return Wrong(where, f"can't be used: {what[:1].lower()}{what[1:]}")  # such as what __post_init__ raised


def nearest(word: str, known: Iterable[str], far: str = "") -> str:
    """Return a hint at the nearest of `known`; when none is near, `far` or else all of them."""
    names = list(known)
    close = difflib.get_close_matches(word[:SHOWN_MAX], names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]}?"
    return far or (f"known are {', '.join(names)}" if names else "none are known here")


def _form(where: str) -> str:
    names = re.findall(r"[A-Za-z_]\w*", where)
    return FORMS.get(names[-1] if names else "", NAME_FORM)


def _bound(found: re.Match[str]) -> str:
    bound = found["bound"]
    number = f"{float(bound):.15g}" if re.fullmatch(r"[-+0-9.e]+", bound) else bound
    return f"{_SIGNS[found['sign']]} {number}"


def _unit(found: re.Match[str]) -> str:
    one, several = _UNITS.get(found["kind"].split(" | ")[0], ("entry", "entries"))
    return one if found["bound"] == "1" else several


def _wanted(text: str) -> str:
    """Return the kinds in `text` without that of a value that may be left out."""
    return _kinds(" | ".join(kind for kind in text.split(" | ") if kind != "null") or text)


def _kinds(text: str) -> str:
    return " or ".join(dict.fromkeys(_KINDS.get(kind, kind) for kind in text.split(" | ")))
