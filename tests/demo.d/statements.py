# SPDX-License-Identifier: Apache-2.0
"""What the demo runs: sessions, and in each the statements with the place where they belong."""

READ = "SELECT id, name, status FROM devices WHERE id = 7"

# (session, [(statement, kind, where)]); kind: text or prepared; where: "primary", "replica", a server,
# "either" of primary and replicas, or None when it depends on the server's flavour
SESSIONS = (
    ("reads", (
        (READ, "text", "replica"),
        ("SELECT * FROM device_data WHERE device_id = 42 ORDER BY timestamp DESC LIMIT 10", "text", "replica"),
        ("SELECT d.device_type, COUNT(*), AVG(sr.value) FROM sensor_readings sr JOIN devices d ON sr.device_id = d.id "
         "WHERE sr.reading_time > '2026-06-01' GROUP BY d.device_type ORDER BY 1", "text", "replica"),
        ("SELECT JSON_EXTRACT(data, '$.battery') FROM device_data WHERE id = 3", "text", "replica"),
        ("SELECT id, name FROM devices WHERE id = ?", "prepared", "replica"),
        ("WITH busy AS (SELECT device_id, COUNT(*) AS n FROM sensor_readings GROUP BY device_id) "
         "SELECT MAX(n) FROM busy", "text", "replica"),
        ("(SELECT id FROM devices WHERE id < 3) UNION ALL (SELECT id FROM devices WHERE id > 998)", "text", "replica"),
        ("SELECT * FROM device_summary WHERE location_id = 5", "text", "replica"),
        ("SELECT id /* INSERT INTO */ FROM devices WHERE name = 'UPDATE devices'", "text", "replica"),
        ("EXPLAIN SELECT id FROM devices WHERE location_id = 5", "text", None),
        ("SHOW TABLES", "text", None),
        ("SHOW CREATE TABLE devices", "text", None),
        ("SELECT @@server_id", "text", "primary"),
        ("SELECT id FROM devices WHERE id = 7 FOR UPDATE", "text", "primary"),
        ("SELECT id FROM devices WHERE id = 7 LOCK IN SHARE MODE", "text", "primary"),
        ("SELECT no_such_function(1)", "text", "primary"),
        ("SELECT id FROM no_such_table", "text", "primary"),
    )),
    ("hints", (
        ("/* weir:primary */ " + READ, "text", "primary"),
        ("/* weir:replica */ " + READ, "text", "replica"),
        ("/* weir:server=replica2 */ " + READ, "text", "replica2"),
    )),
    ("writes, and the reads right after them: on a replica that has the write, or gets it in time", (
        (READ, "text", "replica"),
        ("INSERT INTO demo_notes (note) VALUES ('one')", "text", "primary"),
        ("SELECT COUNT(*) FROM demo_notes", "text", "either"),
        ("SELECT LAST_INSERT_ID()", "text", "primary"),
        ("UPDATE device_data SET status = 'seen' WHERE device_id = 42", "text", "primary"),
        (READ, "text", "either"),
        ("INSERT INTO demo_notes (note) SELECT name FROM devices WHERE id < 4", "text", "primary"),
        ("INSERT INTO demo_notes (note) VALUES ('prepared')", "prepared", "primary"),
        ("DELETE FROM demo_notes WHERE note = 'one'", "text", "primary"),
        ("CALL device_report(7)", "text", "primary"),
    )),
    ("transactions", (
        ("START TRANSACTION", "text", "primary"),
        (READ, "text", "primary"),
        ("UPDATE devices SET status = 'active' WHERE id = 7", "text", "primary"),
        ("ROLLBACK", "text", "primary"),
    )),
    ("a transaction that only reads", (
        ("START TRANSACTION READ ONLY", "text", "replica"),
        (READ, "text", "replica"),
        ("COMMIT", "text", "replica"),
        (READ, "text", "replica"),
    )),
    ("session state that follows", (
        ("SET time_zone = '+02:00'", "text", "primary"),
        (READ, "text", "replica"),
        ("SET NAMES utf8mb4", "text", "primary"),
        ("USE test", "text", "primary"),
        ("SELECT id FROM demo.devices WHERE id = 8", "text", "replica"),
    )),
    ("a literal user variable, set again where it is needed", (
        (READ, "text", "replica"),
        ("SET @device = 7", "text", "primary"),
        ("SELECT id FROM devices WHERE id = @device", "text", "primary"),
        (READ, "text", "replica"),
    )),
    ("a temporary table", (
        ("CREATE TEMPORARY TABLE picked (id INT)", "text", "primary"),
        ("SELECT COUNT(*) FROM picked", "text", "primary"),
        (READ, "text", "primary"),
    )),
    ("autocommit off", (
        ("SET autocommit = 0", "text", "primary"),
        (READ, "text", "primary"),
        ("COMMIT", "text", "primary"),
    )),
)
