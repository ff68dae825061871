# SPDX-License-Identifier: Apache-2.0
"""The demo's data: devices, device_data and sensor_readings of 1,000 devices; the same every time."""
import random

DEVICES = 1000
DATA_ROWS = 6000
READINGS = 12000
BATCH = 1000

TABLES = (
    "DROP VIEW IF EXISTS device_summary",
    "DROP PROCEDURE IF EXISTS device_report",
    "DROP TABLE IF EXISTS sensor_readings, device_data, devices, demo_notes",
    """CREATE TABLE devices (
        id INT AUTO_INCREMENT PRIMARY KEY,
        device_uuid VARCHAR(36) NOT NULL UNIQUE,
        name VARCHAR(100) NOT NULL,
        device_type VARCHAR(20) NOT NULL,
        location_id INT NOT NULL,
        location VARCHAR(60) NOT NULL,
        status ENUM('active', 'inactive', 'maintenance') NOT NULL,
        INDEX idx_devices_location (location_id, device_type))""",
    """CREATE TABLE device_data (
        id INT AUTO_INCREMENT PRIMARY KEY,
        device_id INT NOT NULL,
        device_uuid VARCHAR(36) NULL,
        timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
        temperature DECIMAL(5,2),
        humidity DECIMAL(5,2),
        status VARCHAR(16) NOT NULL DEFAULT 'ok',
        data JSON,
        INDEX idx_device_uuid (device_uuid),
        INDEX idx_timestamp (timestamp),
        INDEX idx_device_summary (device_id, timestamp DESC))""",
    """CREATE TABLE sensor_readings (
        id BIGINT AUTO_INCREMENT PRIMARY KEY,
        device_id INT NOT NULL,
        location_id INT NOT NULL,
        reading_time DATETIME NOT NULL,
        timestamp DATETIME NOT NULL,
        temperature DECIMAL(5,2),
        humidity DECIMAL(5,2),
        value DOUBLE NOT NULL,
        status VARCHAR(16) NOT NULL,
        INDEX idx_timestamp (timestamp),
        INDEX idx_location_time_status (location_id, reading_time DESC, status),
        INDEX idx_readings_device (device_id, reading_time))""",
    "CREATE TABLE demo_notes (id INT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(200))",
    """CREATE VIEW device_summary AS SELECT location_id, COUNT(*) AS devices FROM devices
        GROUP BY location_id""",
    """CREATE PROCEDURE device_report(IN which INT) READS SQL DATA
        SELECT d.name, COUNT(*) AS readings FROM devices d
        JOIN sensor_readings r ON r.device_id = d.id WHERE d.id = which GROUP BY d.name""",
)
KINDS = ("thermometer", "hygrometer", "camera", "valve", "meter")
STATES = ("active", "active", "active", "active", "inactive", "maintenance")


def moment(rng):
    return f"2026-{rng.randrange(1, 11):02d}-{rng.randrange(1, 29):02d} " \
           f"{rng.randrange(24):02d}:{rng.randrange(60):02d}:{rng.randrange(60):02d}"


def place(rng):
    number = rng.randrange(1, 51)
    return number, f"hall {number}"


def climate(rng):
    return f"{rng.uniform(-20, 45):.2f}", f"{rng.uniform(5, 99):.2f}"


def uuid(rng):
    h = f"{rng.getrandbits(128):032x}"
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def rows():
    """(table, columns, rows) in the order in which they are to be loaded."""
    rng = random.Random(1000)
    devices = [(i, uuid(rng), f"device {i:04d}", rng.choice(KINDS), *place(rng), rng.choice(STATES))
               for i in range(1, DEVICES + 1)]
    yield "devices", "id, device_uuid, name, device_type, location_id, location, status", devices
    yield ("device_data", "device_id, device_uuid, timestamp, temperature, humidity, data",
           [(d[0], d[1], moment(rng), *climate(rng),
             f'{{"battery": {rng.randrange(101)}, "firmware": "1.{rng.randrange(9)}"}}')
            for d in (rng.choice(devices) for _ in range(DATA_ROWS))])
    yield ("sensor_readings",
           "device_id, location_id, reading_time, timestamp, temperature, humidity, value, status",
           [(d[0], d[4], when, when, *climate(rng), f"{rng.gauss(20, 5):.3f}", rng.choice(("ok", "ok", "ok", "warn")))
            for d, when in ((rng.choice(devices), moment(rng)) for _ in range(READINGS))])


def load(connection):
    """Drop, create and fill everything; returns the number of rows written."""
    total = 0
    with connection.cursor() as cur:
        for sql in TABLES:
            cur.execute(sql)
        for table, columns, values in rows():
            marks = "(" + ", ".join(["%s"] * len(values[0])) + ")"
            for at in range(0, len(values), BATCH):
                cur.executemany(f"INSERT INTO {table} ({columns}) VALUES {marks}", values[at:at + BATCH])
            total += len(values)
    return total
