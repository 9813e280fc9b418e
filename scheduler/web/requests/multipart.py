"""A form (multipart/form-data) with one file, read as it comes, with bounds for parts, their heads and fields."""

from __future__ import annotations

from collections.abc import Collection

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from voxpool.scheduler.errors import BadInput

PARTS_MAX = 64
HEADERS_MAX = 8
"""Of one part."""
HEADER_BYTES_MAX = 1024
FIELD_BYTES_MAX = 1024
FILE_NAMES = ("audio", "file")
"""Parts that are the file even when they have no file name."""


class Form:
    """Receives the pieces of a body by `feed`; `end` returns the file, and `fields` are the parts of `names` as text.

    Other fields are ignored, so that versions can be mixed.
    """

    def __init__(self, content_type: str, file_bytes_max: int, names: Collection[str]) -> None:
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise BadInput("bad_multipart", "Content-Type: multipart/form-data needs a boundary")
        self.fields: dict[str, str] = {}
        self._file_bytes_max = file_bytes_max
        self._names = names
        self._file: list[bytes] | None = None
        self._file_bytes = 0
        self._parts = 0
        self._is_file = False
        self._name = ""
        self._value = bytearray()
        self._header = bytearray()
        self._header_value = bytearray()
        self._disposition = b""
        self._complete = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._part_begins,
                    "on_header_field": self._header_goes_on,
                    "on_header_value": self._header_value_goes_on,
                    "on_header_end": self._header_ends,
                    "on_headers_finished": self._head_ends,
                    "on_part_data": self._data,
                    "on_part_end": self._part_ends,
                    "on_end": self._ends,
                },
                max_header_count=HEADERS_MAX,
                max_header_size=HEADER_BYTES_MAX,
            )
        except FormParserError as error:
            raise BadInput("bad_multipart", str(error)) from None

    def feed(self, piece: bytes) -> None:
        """Take the next piece. Raises BadInput: bad_multipart, audio_too_large."""
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise BadInput("bad_multipart", f"the form can't be read: {error}") from None

    def end(self) -> bytes:
        """Return the file. Raises BadInput: bad_multipart."""
        if not self._complete:
            raise BadInput("bad_multipart", "the form ends in the middle: its last boundary is missing")
        if self._file is None:
            raise BadInput("bad_multipart", "the form has no file; send the WAV file as the part named audio")
        return b"".join(self._file)

    # ---- what the parser calls

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > PARTS_MAX:
            raise BadInput("bad_multipart", f"the form has more than {PARTS_MAX} parts")
        self._disposition = b""
        self._value.clear()

    def _header_goes_on(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value_goes_on(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_ends(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header.clear()
        self._header_value.clear()

    def _head_ends(self) -> None:
        kind, options = parse_options_header(self._disposition)
        if kind != b"form-data" or b"name" not in options:
            raise BadInput("bad_multipart", "each part needs a Content-Disposition: form-data with a name")
        self._name = options[b"name"].decode("utf-8", "replace")
        self._is_file = b"filename" in options or self._name in FILE_NAMES
        if self._is_file:
            if self._file is not None:
                raise BadInput("bad_multipart", "the form has more than one file; send a job for each")
            self._file = []

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None and self._is_file:
            self._file_bytes += end - start
            if self._file_bytes > self._file_bytes_max:
                detail = f"the file is above audio_bytes_max = {self._file_bytes_max}; cut it into shorter pieces"
                raise BadInput("audio_too_large", detail)
            self._file.append(data[start:end])
            return
        if self._name not in self._names:
            return
        self._value += data[start:end]
        if len(self._value) > FIELD_BYTES_MAX:
            raise BadInput("bad_multipart", f"the field {self._name[:80]!r} is above {FIELD_BYTES_MAX} bytes")

    def _part_ends(self) -> None:
        if not self._is_file and self._name in self._names:
            if self._name in self.fields:
                raise BadInput("given_twice", f"the form has two fields {self._name[:80]!r}")
            self.fields[self._name] = self._value.decode("utf-8", "replace")

    def _ends(self) -> None:
        self._complete = True
