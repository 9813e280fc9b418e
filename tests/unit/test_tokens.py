"""The token file: valid tokens, errors in the file, and the addition of an entry."""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from voxpool.scheduler.core.jobs.job import Share
from voxpool.scheduler.errors import BadInput, ConfigError
from voxpool.scheduler.protocol.messages import Hello, Register
from voxpool.scheduler.security import tokens as module
from voxpool.scheduler.security.authentication import Authentication
from voxpool.scheduler.security.caller import Caller, Role
from voxpool.scheduler.security.tokens import Tokens, append_token, digest_of, entry_text, new_token, read_tokens

DIGEST = digest_of("ann's")
ENTRY = f'[[tokens]]\nname = "ann"\nrole = "client"\nsha256 = "{DIGEST}"\n'
STRAY = "vxp_that-somebody-put_here"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "tokens.toml"
    file.touch(0o600)
    return file


def caller(name: str, role: Role = Role.CLIENT, rate_per_s: float | None = None) -> Caller:
    return Caller(name, role, rate_per_s, digest_of(f"{name}'s"))


def test_a_token_has_256_random_bits_and_the_file_has_only_its_hash(file: Path) -> None:
    made = [new_token(f"n{number}", Role.CLIENT) for number in range(50)]
    for secret, who in made:
        assert re.fullmatch(r"vxp_[A-Za-z0-9_-]{43}", secret) and who.digest == digest_of(secret)
        append_token(file, who)
    assert len({secret for secret, _ in made}) == 50
    tokens = read_tokens(file)
    assert [tokens.find(secret) for secret, _ in made] == [who for _, who in made]
    assert not any(secret[4:] in file.read_text() for secret, _ in made)


def test_an_appended_entry_can_be_read_with_any_previous_content(file: Path) -> None:
    file.write_text("# made by hand\n" + ENTRY.rstrip("\n"))
    bob = caller("bob", Role.NODE, 0.5)
    append_token(file, bob)
    tokens = read_tokens(file)
    assert (tokens.find("ann's"), tokens.find("bob's"), tokens.find("eve's")) == (caller("ann"), bob, None)
    assert file.read_text().startswith("# made by hand\n")


def test_a_new_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "new.toml"
    mask = os.umask(0)
    try:
        append_token(file, caller("ann"))
    finally:
        os.umask(mask)
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_tokens(file).find("ann's") == caller("ann")


def test_simultaneous_appends_are_serialized(tmp_path: Path) -> None:
    file = tmp_path / "busy.toml"
    callers = [caller(f"n{number}") for number in range(40)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda who: append_token(file, who), callers))
    assert len(read_tokens(file)) == 40


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no token, so no caller would be accepted; voxpool token NAME --role ROLE makes one"),
        ("# nothing\n", "has no token"),
        ("tokens = []", "tokens must have at least 1 entry"),
        ("not toml", "is not TOML: Expected '='"),
        (f"{STRAY}\n", "is not TOML"),
        (f'{STRAY} = "admin"\n', "vxp_… is not known here"),
        (ENTRY + f'[[tokens]]\nname = "b"\nrole = "{STRAY}"\nsha256 = "{DIGEST}"', "role can't be 'vxp_…'"),
        (ENTRY.replace("name", "nam"), "tokens[0].nam is not known here: did you mean name?"),
        (ENTRY + 'note = "x"\n', "tokens[0].note is not known here"),
        (ENTRY.replace("ann", "a n n"), "tokens[0].name"),
        (ENTRY.replace("client", "boss"), "tokens[0].role can't be 'boss'"),
        (ENTRY.replace(DIGEST, "ann's"), "tokens[0].sha256"),
        (ENTRY.replace(DIGEST, STRAY), "tokens[0].sha256"),
        (ENTRY.replace(DIGEST, DIGEST.upper()), "tokens[0].sha256"),
        (ENTRY + "rate_per_s = 0\n", "tokens[0].rate_per_s"),
        (ENTRY + "rate_per_s = nan\n", "tokens[0].rate_per_s"),
        (ENTRY + "rate_per_s = inf\n", "tokens[0].rate_per_s"),
        (ENTRY + ENTRY, "entry 2 ('ann'): its sha256 stands there twice"),
        (ENTRY + ENTRY.replace("ann", "bob"), "entry 2 ('bob'): its sha256 stands there twice"),
        (ENTRY + ENTRY.replace(DIGEST, digest_of("b")).replace("client", "node"), "entry 2: 'ann' has two roles"),
        (ENTRY * 1001, "at most 1000 entries"),
        ("#" * 1024 * 1024 + "\n", "1048577 bytes are above 1048576"),
    ],
)
def test_an_invalid_file_is_reported_in_one_line_without_any_secret(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as wrong:
        read_tokens(file)
    line = str(wrong.value)
    assert line.startswith(f"{file}: ") and message in line and "\n" not in line
    assert STRAY not in line and DIGEST not in line


def as_pipe(file: Path) -> None:
    """Replace the file by a pipe without a writer: a read would wait for ever."""
    file.unlink()
    os.mkfifo(file, 0o600)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda file: file.unlink(), "can't be opened: No such file or directory"),
        (lambda file: (file.unlink(), file.mkdir()), "is not a file"),
        (as_pipe, "is not a file"),
        (lambda file: file.write_bytes(b"\xff\xfe"), "is not text in UTF-8"),
        *(
            (lambda file, mode=mode: file.chmod(mode), f"by its mode {mode:04o}")
            for mode in (0o604, 0o644, 0o620, 0o660, 0o602, 0o666)
        ),
    ],
)
def test_a_file_with_unsafe_permissions_is_not_read(file: Path, make: Callable[[Path], object], message: str) -> None:
    file.write_text(ENTRY)
    make(file)
    with pytest.raises(ConfigError, match=re.escape(f"{file}: {message}")):
        read_tokens(file)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440, 0o640])
def test_a_group_may_read_it(file: Path, mode: int) -> None:
    """A service that isn't root gets its secrets in this way."""
    file.write_text(ENTRY)
    file.chmod(mode)
    assert len(read_tokens(file)) == 1


def test_a_token_in_place_of_the_path_is_not_printed() -> None:
    with pytest.raises(ConfigError) as wrong:
        read_tokens(Path(STRAY))
    assert str(wrong.value) == "access_file is the path of a file, not a token"


@pytest.mark.parametrize(
    ("name", "rights"),
    [
        *(("", {}), ("a b", {}), ('a"', {}), ("x" * 65, {}), ("a\n", {})),
        *(("a", {"rate_per_s": 0.0}), ("a", {"weight": 0.0}), ("a", {"priority_min": 6})),
    ],
)
def test_no_token_is_made_for_an_invalid_entry(name: str, rights: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        new_token(name, Role.CLIENT, **rights)


def test_what_a_token_may_take_is_in_its_entry(file: Path) -> None:
    secret, made = new_token("gateway", Role.CLIENT, weight=2.5, keys=True, priority_min=2)
    append_token(file, made)
    read = read_tokens(file).find(secret)
    assert read is not None and read == made
    assert read.share(None, None) == Share(3, "gateway", 2.5)
    assert read.share(2, "ann") == Share(2, "gateway/ann", 2.5)
    with pytest.raises(BadInput, match="priorities from 2 on"):
        read.share(1, None)
    batch = read._replace(keys=False, priority_min=5)
    assert batch.share(None, None).priority == 5, "the default is the least that the token may give"
    with pytest.raises(BadInput, match="may not name keys"):
        batch.share(None, "ann")


def test_a_file_that_would_be_invalid_with_the_new_entry_is_not_changed(file: Path) -> None:
    file.write_text(ENTRY)
    with pytest.raises(ConfigError, match="two roles"):
        append_token(file, caller("ann", Role.ADMIN)._replace(digest=digest_of("other")))
    assert file.read_text() == ENTRY
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="by its mode 0644"):
        append_token(file, caller("bob"))
    assert file.read_text() == ENTRY


@pytest.mark.parametrize("secret", ["n0's", "n99's", "nobody's", "", "x" * 513, "\ud800"])
def test_each_lookup_compares_all_tokens_in_constant_time(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its duration reveals neither whether a token exists, nor how much of it was right."""
    tokens = Tokens([caller(f"n{number}") for number in range(100)])
    compared: list[tuple[bytes, bytes]] = []

    class Counted:
        @staticmethod
        def compare_digest(one: bytes, other: bytes) -> bool:
            compared.append((one, other))
            return hmac.compare_digest(one, other)

    monkeypatch.setattr(module, "hmac", Counted)
    assert tokens.find(secret) == (caller(secret[:-2]) if secret in ("n0's", "n99's") else None)
    assert len(compared) == (0 if len(secret) > 512 else 100)
    assert {len(one) for pair in compared for one in pair} <= {32}


def test_no_repr_has_a_secret_or_a_hash() -> None:
    ann = caller("ann", Role.ADMIN)
    shown = [repr(each) for each in (ann, Tokens([ann]), Authentication(Tokens([ann])), [ann], {"caller": ann})]
    shown += [str(ann), f"{ann}"]
    assert not [text for text in shown if DIGEST in text or digest_of("ann's")[:8] in text]
    assert shown[:2] == ["<caller ann admin>", "<1 tokens>"]
    register = Register("n1", "p1", ["a:b"], 1, [], token="ann's")
    assert repr(Hello(session_id="s1", token="ann's")) == (
        "Hello(protocol=1, session_id='s1', resume=False, acks=False, generation=None, ack=0, patience_ms=None, "
        "in_order=False)"
    )
    assert "n1" in repr(register) and "ann's" not in repr(register)


def test_an_entry_has_the_role_and_rate_of_its_caller(file: Path) -> None:
    for who in (caller("a"), caller("b.c-d_e", Role.METRICS, 0.25), caller("f", Role.ADMIN, 1e9)):
        file.write_text(entry_text(who))
        assert read_tokens(file).find(f"{who.name}'s") == who
