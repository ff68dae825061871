# SPDX-License-Identifier: Apache-2.0
"""COM_STMT_EXECUTE with parameters of every type of the protocol.

    body = bind(stmt, [tiny(-1), utiny(255), text("a"), NULL, datetime(2024, 2, 29, 1, 2, 3, 4)], cursor=READ_ONLY)

A parameter is (type, flag, bytes); NULL has the type of what it stands for when that is given:
null(BLOB). LONG is a value that was sent ahead.
"""
import struct

from rawclient import lenenc

TINY, SHORT, INT, FLOAT, DOUBLE, NULL_TYPE, TIMESTAMP, BIGINT, INT24 = 1, 2, 3, 4, 5, 6, 7, 8, 9
DATE, TIME, DATETIME, YEAR, VARCHAR, BIT = 10, 11, 12, 13, 15, 16
JSON, NEWDECIMAL, ENUM, SET, TINY_BLOB, MEDIUM_BLOB, LONG_BLOB, BLOB, VAR_STRING, STRING = 245, 246, 247, 248, 249, 250, 251, 252, 253, 254
NO_CURSOR, READ_ONLY = 0, 1
INTS = {TINY: "b", SHORT: "h", INT: "i", BIGINT: "q", INT24: "i", YEAR: "h"}


def number(kind, value):
    return kind, 0, struct.pack("<" + INTS[kind], value)


def unsigned(kind, value):
    return kind, 0x80, struct.pack("<" + INTS[kind].upper(), value)


def real(value):
    return DOUBLE, 0, struct.pack("<d", value)


def single(value):
    return FLOAT, 0, struct.pack("<f", value)


def text(value, kind=VAR_STRING):
    data = value.encode() if isinstance(value, str) else value
    return kind, 0, lenenc(len(data)) + data


def null(kind=NULL_TYPE, flag=0):
    return kind, flag, None


def long_data(kind=BLOB):
    """Sent with COM_STMT_SEND_LONG_DATA before."""
    return kind, 0, b""


def date(year, month, day, kind=DATE):
    return kind, 0, b"\4" + struct.pack("<HBB", year, month, day)


def datetime(year, month, day, hour=0, minute=0, second=0, micro=0, kind=DATETIME):
    body = struct.pack("<HBBBBB", year, month, day, hour, minute, second)
    if micro:
        return kind, 0, b"\x0b" + body + struct.pack("<I", micro)
    return kind, 0, b"\7" + body


def zero(kind=DATETIME):
    """The date, time or both that takes no bytes."""
    return kind, 0, b"\0"


def time(days, hour, minute, second, micro=0, negative=False):
    body = struct.pack("<BIBBB", negative, days, hour, minute, second)
    return (TIME, 0, b"\x0c" + body + struct.pack("<I", micro)) if micro else (TIME, 0, b"\x08" + body)


def bind(stmt, params=(), cursor=NO_CURSOR, resend=True, iterations=1):
    """The body of COM_STMT_EXECUTE. resend False: the types are those of the time before."""
    body = struct.pack("<IBI", stmt, cursor, iterations)
    if not params:
        return body
    nulls = bytearray((len(params) + 7) // 8)
    for i, (_, _, data) in enumerate(params):
        if data is None:
            nulls[i // 8] |= 1 << i % 8
    types = b"".join(bytes([kind, flag]) for kind, flag, _ in params)
    return body + bytes(nulls) + (b"\1" + types if resend else b"\0") + b"".join(data or b"" for _, _, data in params)


SEND_UNIT_RESULTS, SEND_TYPES = 64, 128
NONE, NULL, DEFAULT, IGNORE = range(4)  # indicators of MariaDB's bulk execution; alone they stand for a parameter


def bulk(stmt, rows, resend=True, flags=None):
    """The body of COM_STMT_BULK_EXECUTE. A column's type is that of its first parameter that has one."""
    columns = [next((p for p in column if isinstance(p, tuple)), (NULL_TYPE, 0)) for column in zip(*rows)]
    types = b"".join(bytes(p[:2]) for p in columns) if resend else b""
    body = struct.pack("<IH", stmt, flags if flags is not None else SEND_TYPES if resend else 0)
    return body + types + b"".join(bytes([p]) if isinstance(p, int) else bytes([NULL]) if p[2] is None else bytes([NONE]) + p[2] for row in rows for p in row)


def long_body(stmt, param, data):
    return struct.pack("<IH", stmt, param) + (data.encode() if isinstance(data, str) else data)


def fetch_body(stmt, rows):
    return struct.pack("<II", stmt, rows)
