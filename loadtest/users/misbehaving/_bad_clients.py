"""Misbehaviours of clients, a function each; a function returns when the scheduler has reacted as it should.

Otherwise it raises Wrong, or an error of the connection.
"""

from __future__ import annotations

import http.client
import struct
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from voxpool.loadtest.users._wire import Closed, Wire
from voxpool.loadtest.users.misbehaving._target import (
    PATIENCE_S,
    Target,
    Wrong,
    check,
    completed,
    expect,
    refused,
)
from voxpool.scheduler.protocol import close_codes
from voxpool.scheduler.protocol.answers import Problem
from voxpool.scheduler.protocol.messages import Accepted, CancelJob, Error, Hello, JobResult, RejectedSubmit, ToClient
from voxpool.scheduler.web.sessions.session import BAD_MESSAGES_MAX

HUGE_BYTES = 1 << 40
"""Size of the announced frame, of which only the header is sent."""
UNREAD_JOBS = 20
UNREAD_S = 1.0


def garbage(target: Target) -> None:
    """Send invalid frames in both encodings; the session continues."""
    with target.session() as wire:
        wire.send_frame(b"{not json", binary=False)
        refused(wire, "broken_json")
        wire.send_frame(b"\xc1\xc1", binary=True)
        refused(wire, "broken_messagepack")
        wire.send_frame(b'{"type": "dance"}', binary=False)
        refused(wire, "unknown_type")
        _still_answers(wire)


def garbage_without_end(target: Target) -> None:
    """Send invalid messages until the scheduler closes the connection."""
    with target.session() as wire:
        for _ in range(BAD_MESSAGES_MAX):
            wire.send_frame(b"[]", binary=False)
        _is_closed(wire, close_codes.POLICY)


def huge_frame(target: Target) -> None:
    """Announce a frame of a terabyte; it is refused at its header."""
    with target.session() as wire:
        wire.send_raw(b"\x82\xff" + struct.pack("!Q", HUGE_BYTES) + b"mask" + bytes(1000))
        _is_closed(wire, close_codes.TOO_BIG)


def half_message(target: Target) -> None:
    """Send the start of a message and close the connection; another connection is served."""
    with target.session() as wire:
        wire.send_frame(b'{"type": "submit", "audio": "', binary=False, fin=False)
        wire.abort()
    with target.session() as wire:
        _still_answers(wire)


def vanishes(target: Target) -> None:
    """Submit, disconnect without a goodbye, resume the session in time, submit again, and get the result.

    The SDK does the same: a result sent during the disconnect is lost with the connection, the job's end is not.
    """
    session_id = target.fresh("s")
    submit = target.submit()
    with target.session(session_id) as wire:
        wire.send(submit)
        expect(wire, Accepted)
        wire.abort()
    with target.session(session_id, resume=True) as wire:
        wire.send(submit)
        result = expect(wire, JobResult)
        check(result.request_id == submit.request_id, "another_result")
        completed(result)


def same_id_twice(target: Target) -> None:
    """Submit the same request id again: it stands for one job; with other audio it is refused."""
    with target.session(binary=True) as wire:
        submit = target.submit()
        wire.send(submit)
        first = expect(wire, Accepted)
        wire.send(submit)
        check(expect(wire, Accepted).job_id == first.job_id, "two_jobs")
        wire.send(msgspec.structs.replace(submit, audio=submit.audio[:-1] + bytes([submit.audio[-1] ^ 1])))
        check(expect(wire, RejectedSubmit).reason == "request_id_conflict", "no_conflict")


def reads_late(target: Target) -> None:
    """Stop reading for a while: all results arrive later, or the connection is closed."""
    with target.session(binary=True) as wire:
        for _ in range(UNREAD_JOBS):
            wire.send(target.submit())
        time.sleep(UNREAD_S)
        try:
            for _ in range(UNREAD_JOBS):
                completed(expect(wire, JobResult))
        except Closed:
            return


def wrong_input(target: Target) -> None:
    """Send invalid submits: each is rejected with a reason, and the session continues."""
    with target.session(binary=True) as wire:
        submit = target.submit()
        for change, reason in (
            ({"pair": "no pair"}, "bad_pair"),
            ({"audio": b""}, "empty_audio"),
            ({"audio": b"noise"}, "not_audio"),
        ):
            wire.send(msgspec.structs.replace(submit, **change))
            found = expect(wire, RejectedSubmit).reason
            check(found == reason, f"{found}_for_{reason}")
        wire.send(Hello())
        refused(wire, "hello_twice")
        _still_answers(wire)


def wrong_greeting(target: Target) -> None:
    """Send no hello, or one of another protocol: an error, and the end of the connection."""
    for greeting, reason in ((target.submit(), "hello_first"), (Hello(protocol=99), "bad_protocol")):
        wire = target.client_wire()
        try:
            wire.send(greeting)
            refused(wire, reason)
            _is_closed(wire, close_codes.POLICY)
        finally:
            wire.close()


def wrong_token(target: Target) -> None:
    """Use an unknown token; it is refused where tokens are required."""
    wire = target.client_wire()
    try:
        wire.send(Hello(token="a-token-that-nobody-has"))
        if target.client_token:
            refused(wire, "unauthorized")
    finally:
        wire.close()


def http_nonsense(target: Target) -> None:
    """Send invalid requests: each is answered with a problem and its reason."""
    submit = target.submit()
    for method, path, body, reason in (
        ("POST", "/v1/jobs", submit.audio, "bad_pair"),
        ("POST", f"/v1/jobs?pair={submit.pair}", b"noise", "not_audio"),
        ("GET", "/v1/jobs/nobody-has-this", None, "unknown_job"),
        ("PATCH", "/v1/jobs", None, "method_not_allowed"),
    ):
        connection = _http(target)
        try:
            connection.request(method, urlsplit(target.url).path.rstrip("/") + path, body, _authorization(target))
            answer = connection.getresponse()
            found = msgspec.json.decode(answer.read(), type=Problem).reason
        except msgspec.MsgspecError:
            raise Wrong(f"no_problem_{answer.status}") from None
        finally:
            connection.close()
        check(found == reason, f"{found}_for_{reason}")


def half_body(target: Target) -> None:
    """Send a truncated body; another request is served."""
    connection = _http(target)
    connection.putrequest("POST", f"/v1/jobs?pair={target.pair}")
    for name, value in {**_authorization(target), "Content-Length": "100000"}.items():
        connection.putheader(name, value)
    connection.endheaders(target.submit().audio)
    connection.close()
    http_nonsense(target)


KINDS: dict[str, Callable[[Target], None]] = {
    act.__name__: act
    for act in (
        garbage,
        garbage_without_end,
        huge_frame,
        half_message,
        vanishes,
        same_id_twice,
        reads_late,
        wrong_input,
        wrong_greeting,
        wrong_token,
        http_nonsense,
        half_body,
    )
}


def _still_answers(wire: Wire[ToClient]) -> None:
    wire.send(CancelJob("nobody-has-this"))
    refused(wire, "unknown_job")


def _is_closed(wire: Wire[ToClient], code: int) -> None:
    try:
        while True:
            message = wire.receive(PATIENCE_S)
            check(isinstance(message, Error), "went_on")
    except Closed as closed:
        check(closed.code == code, f"closed_{closed.code}")


def _http(target: Target) -> http.client.HTTPConnection:
    parts = urlsplit(target.url)
    host, port = parts.hostname or "", parts.port
    if target.tls is not None:
        return http.client.HTTPSConnection(host, port, timeout=PATIENCE_S, context=target.tls)
    return http.client.HTTPConnection(host, port, timeout=PATIENCE_S)


def _authorization(target: Target) -> dict[str, str]:
    return {"Authorization": f"Bearer {target.client_token}"} if target.client_token else {}
