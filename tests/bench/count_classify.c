/* SPDX-License-Identifier: Apache-2.0 */
/* For callgrind: statements classified, ROUNDS times. count_classify point|join|insert|begin|digest
 *   point   a point select of 62 bytes
 *   join    a select of 230 bytes with joins, functions, a subquery
 *   insert  an insert of 160 bytes
 *   begin   BEGIN
 *   digest  the digest of the point select */
#include <stdio.h>
#include <string.h>

#include "weir/classify/classify.h"

#define ROUNDS 1000u

static const struct {
    const char *name;
    const char *sql;
} cases[] = {
    {"point", "SELECT id, name, status FROM devices WHERE id = 4711 LIMIT 100"},
    {"join",
     "SELECT d.id, d.name, COUNT(*), AVG(r.temperature) FROM devices d JOIN sensor_readings "
     "r ON r.device_id = d.id WHERE d.location_id IN (SELECT id FROM locations WHERE "
     "region = 'eu') AND r.ts > NOW() - INTERVAL 1 HOUR GROUP BY d.id ORDER BY 3 DESC"},
    {"insert", "INSERT INTO device_data (device_id, timestamp, temperature, humidity) VALUES (1, "
               "'2024-01-15 10:00:00', 23.5, 45.2), (1, '2024-01-15 10:01:00', 23.7, 45.8)"},
    {"begin", "BEGIN"},
    {"digest", "SELECT id, name, status FROM devices WHERE id = 4711 LIMIT 100"},
};

int main(int argc, char **argv)
{
    struct classify_env env = {.flavour = CLASSIFY_MYSQL, .version = 90704};
    const char *name = argc > 1 ? argv[1] : "point";
    for (size_t i = 0; i < WR_ARRAY_LEN(cases); i++) {
        if (strcmp(cases[i].name, name) != 0) {
            continue;
        }
        struct span sql = span_of(cases[i].sql);
        uint64_t sum = 0;
        for (unsigned round = 0; round < ROUNDS; round++) {
            if (strcmp(name, "digest") == 0) {
                char text[512];
                size_t len = 0;
                sum += classify_digest(sql, &env, text, sizeof(text), &len);
            } else {
                struct facts f;
                classify_sql(sql, &env, &f);
                sum += f.bits;
            }
        }
        printf("rounds %u bytes %zu sum %llx\n", ROUNDS, sql.len, (unsigned long long)sum);
        return 0;
    }
    return 2;
}
