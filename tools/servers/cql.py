"""As much of Cassandra's native protocol, version 4, as is needed to ask a node for its state."""

import socket
import struct
from types import TracebackType

_STARTUP, _QUERY, _ERROR = 0x01, 0x07, 0x00
_AUTHENTICATE, _AUTH_RESPONSE = 0x03, 0x0F
# The account that every new cluster has.
USER = PASSWORD = "cassandra"
_HEADER = struct.Struct(">BBhBi")


class NodeError(Exception):
    """The node did not answer, or answered with an error."""


class Session:
    """A connection to one node."""

    def __init__(self, address: str, port: int, seconds: float = 5.0) -> None:
        try:
            self._socket = socket.create_connection((address, port), seconds)
        except OSError as error:
            raise NodeError(str(error)) from None
        options = {"CQL_VERSION": "3.0.0"}
        body = struct.pack(">H", len(options)) + b"".join(
            _string(part) for pair in options.items() for part in pair)
        try:
            kind, _ = self._exchange(_STARTUP, body)
            if kind == _AUTHENTICATE:
                token = f"\0{USER}\0{PASSWORD}".encode()
                self._ask(_AUTH_RESPONSE, struct.pack(">i", len(token)) + token)
        except NodeError:
            self._socket.close()
            raise

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None,
                 _trace: TracebackType | None) -> None:
        self._socket.close()

    def column(self, query: str, replicas: int = 1) -> list[bytes]:
        """The values of a query of one column; `replicas`, 1 to 3, have to answer it."""
        text = query.encode()
        answer = self._ask(_QUERY, struct.pack(">i", len(text)) + text
                           # The consistency levels ONE, TWO and THREE are the numbers 1 to 3.
                           + struct.pack(">HB", replicas, 0))
        return _values(answer)

    def _ask(self, opcode: int, body: bytes) -> bytes:
        return self._exchange(opcode, body)[1]

    def _exchange(self, opcode: int, body: bytes) -> tuple[int, bytes]:
        """The opcode of the answer, and its body."""
        try:
            self._socket.sendall(_HEADER.pack(0x04, 0, 0, opcode, len(body)) + body)
            _, _, _, kind, length = _HEADER.unpack(self._receive(_HEADER.size))
            answer = self._receive(length)
        except OSError as error:
            raise NodeError(str(error)) from None
        if kind == _ERROR:
            raise NodeError(answer[6:].decode(errors="replace"))
        return kind, answer

    def _receive(self, length: int) -> bytes:
        parts = bytearray()
        while len(parts) < length:
            part = self._socket.recv(length - len(parts))
            if not part:
                raise NodeError("it closed the connection")
            parts += part
        return bytes(parts)


def _string(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()


def _values(answer: bytes) -> list[bytes]:
    """The values in an answer of one column of a simple type: its description, then the rows."""
    at = 12
    # Names of keyspace, table and column, each with its length before it; then the type, two bytes.
    for _ in range(3):
        at += 2 + struct.unpack_from(">H", answer, at)[0]
    rows, at, values = struct.unpack_from(">i", answer, at + 2)[0], at + 6, []
    for _ in range(rows):
        length = max(0, struct.unpack_from(">i", answer, at)[0])
        values.append(answer[at + 4:at + 4 + length])
        at += 4 + length
    return values
