"""The bytes of Feast's Redis store, read and written without an object per value: keys, fields, values.

A mine is one hash. Its key holds the join key and the project; a field is named by the hash of `view:feature` and
holds a serialised ValueProto, an empty one for null; `_ts:view` holds the event time. The format is Feast's and is
held to Feast's own writer by tests. Who reads or writes when belongs to `online_store`, `parity` and serving.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from fvi_pipeline.features.copy_columns import Column

# Feast's value types by name, and the member of ValueProto that holds each; others go Feast's own way
MEMBERS = {
    "BYTES": "bytes_val",
    "STRING": "string_val",
    "INT32": "int32_val",
    "INT64": "int64_val",
    "DOUBLE": "double_val",
    "FLOAT": "float_val",
    "BOOL": "bool_val",
    "UNIX_TIMESTAMP": "unix_timestamp_val",
}
# field number and wire type of the protobuf message, then the number itself
_REALS = {
    "DOUBLE": np.dtype([("tag", "u1"), ("value", "<f8")]),
    "FLOAT": np.dtype([("tag", "u1"), ("value", "<f4")]),
}
_TAGS = {"DOUBLE": 5 << 3 | 1, "FLOAT": 6 << 3 | 5}
_DOUBLE = struct.Struct("<Bd")
# the same, of an INT64, a BOOL and a UNIX_TIMESTAMP, whose wire type is 0
_WHOLE_NUMBER, _BOOLEAN, _TIME = 4 << 3, 7 << 3, 8 << 3
_TYPE_STRING = 2
_GLOB = re.compile(rb"([*?\[\]\\])")
# what Feast writes for a time that is null
NULL_TIME = np.iinfo(np.int64).min
_MICROSECONDS = 1_000_000


def key_prefix(join_key: str) -> bytes:
    """What the key of every entity begins with, whose only join key is `join_key`, a text."""
    name = join_key.encode()
    return struct.pack("<III", 1, _TYPE_STRING, len(name)) + name


def entity_keys(project: str, join_key: str, values: Iterable[bytes]) -> list[bytes]:
    """Redis keys of entities, their join key being a text in UTF-8."""
    head = key_prefix(join_key) + struct.pack("<I", _TYPE_STRING)
    tail = project.encode()
    return [head + struct.pack("<I", len(value)) + value + tail for value in values]


def entity_of(key: bytes, project: str, join_key: str) -> str:
    """The text that `entity_keys` made the key of."""
    return key[len(key_prefix(join_key)) + 8 : len(key) - len(project.encode())].decode()


def keys_pattern(project: str, join_key: str) -> bytes:
    """A pattern for SCAN that finds the keys of all entities with this join key."""
    return b"*".join(_GLOB.sub(rb"\\\1", part) for part in (key_prefix(join_key), project.encode()))


def feature_fields(view: str, features: Sequence[str]) -> list[bytes]:
    """The fields of a hash that hold these features of a view."""
    import mmh3

    return [struct.pack("<I", mmh3.hash(f"{view}:{name}", signed=False)) for name in features]


def time_field(view: str) -> bytes:
    """The field of a hash that holds the event time of a view's row."""
    return f"_ts:{view}".encode()


def encode(value_type: str, column: Column) -> list[bytes]:
    """The values of a column as Feast serialises them; NaN is null, as it is to Feast's own writer."""
    present = column.present
    if value_type in _REALS:
        values = column.values.astype(_REALS[value_type]["value"])
        present = present & ~np.isnan(values)
        framed = np.empty(len(values), dtype=_REALS[value_type])
        framed["tag"], framed["value"] = _TAGS[value_type], values
        encoded: list[bytes] = framed.view(f"V{framed.itemsize}").tolist()
        for row in np.flatnonzero(~present).tolist():
            encoded[row] = b""
        return encoded
    values = column.values // _MICROSECONDS if value_type == "UNIX_TIMESTAMP" else column.values
    return _encode_each(MEMBERS[value_type], values.tolist(), present.tolist(), _null(value_type))


def encode_times(column: Column) -> list[bytes]:
    """Event times as Feast serialises them."""
    from google.protobuf.timestamp_pb2 import Timestamp

    def encoded(microseconds: int) -> bytes:
        seconds, rest = divmod(microseconds, _MICROSECONDS)
        message: bytes = Timestamp(seconds=seconds, nanos=rest * 1000).SerializeToString()
        return message

    times = column.values.tolist()
    memory = {time: encoded(time) for time in set(times)}
    return [memory[time] for time in times]


def decode_time(value: bytes) -> int:
    """An event time in microseconds since 1970."""
    from google.protobuf.timestamp_pb2 import Timestamp

    time = Timestamp.FromString(value)
    return int(time.seconds) * _MICROSECONDS + int(time.nanos) // 1000


def decode(value: bytes | None) -> Any:
    """One value as `get_online_features(…).to_dict()` gives it; None for null and for a field that is not there."""
    if not value:
        return None
    if value[0] == _TAGS["DOUBLE"] and len(value) == _DOUBLE.size:
        return _DOUBLE.unpack(value)[1]
    # by hand: whoever serves would import Feast for the whole numbers of a mine, which takes seconds
    number = _whole_number(value[1:])
    if number is not None and value[0] in (_WHOLE_NUMBER, _BOOLEAN):
        return bool(number) if value[0] == _BOOLEAN else number
    if number is not None and value[0] == _TIME and number != NULL_TIME:
        return datetime.fromtimestamp(number, UTC)
    from feast.protos.feast.types.Value_pb2 import Value
    from feast.type_map import feast_value_type_to_python_type

    return feast_value_type_to_python_type(Value.FromString(value))


def _whole_number(varint: bytes) -> int | None:
    """A signed number of protobuf; None when the bytes are no single one."""
    number = 0
    for place, byte in enumerate(varint):
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            last = place == len(varint) - 1
            return (number - (1 << 64) if number >> 63 else number) if last and number < 1 << 64 else None
    return None


def decode_reals(values: Sequence[bytes | None]) -> tuple[NDArray[np.float64], NDArray[np.bool_]] | None:
    """A column of doubles and where it has one; None when something in it is no double."""
    absent = bytes(_DOUBLE.size)
    data = b"".join([value or absent for value in values])
    if len(data) != _DOUBLE.size * len(values):
        return None
    framed = np.frombuffer(data, dtype=_REALS["DOUBLE"])
    present = framed["tag"] == _TAGS["DOUBLE"]
    if not np.array_equal(present, np.fromiter(map(bool, values), dtype=np.bool_, count=len(values))):
        return None
    return framed["value"].astype(np.float64), present


def _encode_each(member: str, values: list[Any], present: list[bool], null: bytes) -> list[bytes]:
    """Feast's own serialisation, once for each different value."""
    from feast.protos.feast.types.Value_pb2 import Value

    texts = member == "string_val"
    memory = {
        value: Value(**{member: value.decode() if texts else value}).SerializeToString()
        for value, there in zip(values, present, strict=True)
        if there
    }
    return [memory[value] if there else null for value, there in zip(values, present, strict=True)]


def _null(value_type: str) -> bytes:
    from feast.protos.feast.types.Value_pb2 import Value

    if value_type != "UNIX_TIMESTAMP":
        return b""
    message: bytes = Value(unix_timestamp_val=NULL_TIME).SerializeToString()
    return message
