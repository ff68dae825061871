#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The official image's check by that name, as far as docker/compose.yaml calls it: a server that
# answers SQL over TCP.
set -eu
for word in "$@"; do
    case $word in
    --connect | --innodb_initialized) ;;
    *)
        echo "healthcheck: the stand-in does not know $word" >&2
        exit 2
        ;;
    esac
done
MYSQL_PWD=$(cat "$MARIADB_ROOT_PASSWORD_FILE") exec mariadb -h 127.0.0.1 -u root -N -e 'SELECT 1' >/dev/null
