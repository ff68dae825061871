# SPDX-License-Identifier: Apache-2.0
"""A real prepared statement on a PyMySQL connection, which has none of its own."""
import struct

COM_STMT_PREPARE, COM_STMT_EXECUTE, COM_STMT_CLOSE = 0x16, 0x17, 0x19
TYPE_LONGLONG = 8


def execute_prepared(connection, sql, numbers):
    """Prepare, execute once with whole numbers, close. Returns rows read, or rows affected."""
    connection._execute_command(COM_STMT_PREPARE, sql)
    head = connection._read_packet().get_all_data()
    number, columns, parameters = struct.unpack("<IHH", head[1:9])
    for count in (parameters, columns):
        for _ in range(count + 1 if count else 0):  # the definitions and their EOF
            connection._read_packet()
    body = struct.pack("<IBI", number, 0, 1)
    if numbers:
        body += bytes((len(numbers) + 7) // 8) + b"\x01"
        body += struct.pack("<BB", TYPE_LONGLONG, 0) * len(numbers)
        body += b"".join(struct.pack("<q", n) for n in numbers)
    connection._execute_command(COM_STMT_EXECUTE, body)
    first = connection._read_packet()
    rows = 0
    if first.is_ok_packet():
        rows = first.get_all_data()[1]
    else:
        for _ in range(first.read_length_encoded_integer() + 1):
            connection._read_packet()
        while not connection._read_packet().is_eof_packet():
            rows += 1
    connection._execute_command(COM_STMT_CLOSE, struct.pack("<I", number))
    return rows
