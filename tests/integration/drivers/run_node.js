// SPDX-License-Identifier: Apache-2.0
// run_node.js mysql2|mariadb PLAN: one of the suite's runners (suite.py says what a plan is).
'use strict';
const crypto = require('crypto');
const fs = require('fs');

const driver = process.argv[2];
const lib = require(driver === 'mysql2' ? 'mysql2/promise' : 'mariadb');
const plan = JSON.parse(fs.readFileSync(process.argv[3], 'utf8'));
const BIG = 'x'.repeat(17 * 1024 * 1024);
const sha1 = (v) => crypto.createHash('sha1').update(v).digest('hex');

function plain(v) {
    if (v === null || v === undefined) return null;
    if (typeof v === 'bigint') return { bigint: v.toString() };
    if (Buffer.isBuffer(v)) {
        return v.length < 200 ? { bytes: v.toString('hex') } : { bytes: sha1(v), length: v.length };
    }
    if (typeof v === 'string') return v.length > 200 ? { text: sha1(v), length: v.length } : v;
    if (v instanceof Date) return { date: isNaN(v) ? 'invalid' : v.toISOString() };
    if (typeof v === 'object') return { object: JSON.stringify(v, (k, x) => (typeof x === 'bigint' ? x.toString() : x)) };
    return v;
}

function argument(v) {
    if (v !== null && typeof v === 'object') {
        if ('hex' in v) return Buffer.from(v.hex, 'hex');
        if ('big' in v) return 'x'.repeat(v.big);
        return new Date(v.time.replace(' ', 'T') + 'Z');
    }
    return v;
}

async function open(how) {
    const end = plan.endpoint;
    const o = { user: how.user, password: how.password || undefined, database: how.db || undefined,
        multipleStatements: how.multi, connectTimeout: 20000, timezone: 'Z' };
    if (how.via === 'socket') o.socketPath = end.socket;
    else Object.assign(o, { host: end.host, port: end.port });
    if (how.tls === 'on') o.ssl = { rejectUnauthorized: false };
    if (driver === 'mariadb') Object.assign(o, { metaAsArray: true, rowsAsArray: true, maxAllowedPacket: 64 << 20 });
    const c = await lib.createConnection(o);
    c.on('error', () => {});
    return c;
}

const error = (e) => ({ err: e.errno || 0, state: e.sqlState || '', code: e.code || '', text: e.sqlMessage || e.message });

function oneResult(rows, meta) {
    if (!Array.isArray(rows)) {
        return { affected: rows.affectedRows, id: plain(rows.insertId), warnings: rows.warningStatus, info: rows.info };
    }
    const cols = (meta || []).map((m) => (driver === 'mysql2'
        ? [m.name, m.columnType, m.flags, m.characterSet, m.columnLength, m.decimals, m.table, m.orgName]
        : [m.name(), m.type, m.flags, m.columnLength, m.scale, m.table(), m.orgName()]));
    return { cols, rows: rows.map((r) => r.map(plain)) };
}

// several results: mysql2 has an array of rows beside an array of fields, mariadb the same
function results([rows, meta]) {
    const several = Array.isArray(meta) && meta.some((m) => m === undefined || m === null || Array.isArray(m))
        || (Array.isArray(rows) && rows.length > 0 && rows.some((r) => r && !Array.isArray(r)));
    if (several) return rows.map((r, i) => oneResult(r, meta && meta[i]));
    return [oneResult(rows, meta)];
}

async function query(c, sql, args) {
    try {
        let got;
        if (driver === 'mysql2') got = await (args ? c.execute({ sql, rowsAsArray: true }, args) : c.query({ sql, rowsAsArray: true }));
        else {
            got = await (args ? c.execute(sql, args) : c.query(sql));
            if (!Array.isArray(got)) got = [got, null]; // an OK comes alone
        }
        return results(got);
    } catch (e) {
        return [error(e)];
    }
}

async function step(state, s, how) {
    if (Object.keys(s).length === 0) return 'unsupported';
    if ('q' in s) return query(state.c, s.q.split('@BIG@').join(BIG));
    if ('p' in s) {
        const found = [];
        for (const args of s.args) {
            found.push(await (typeof args === 'string' ? query(state.c, args) : query(state.c, s.p, args.map(argument))));
        }
        return found;
    }
    if ('batch' in s) {
        try {
            return plain(await state.c.batch(s.batch, s.args.map((row) => row.map(argument))));
        } catch (e) {
            return error(e);
        }
    }
    try {
        if (s.call === 'ping') { await state.c.ping(); return 'pong'; }
        if (s.call === 'reset') {
            if (typeof state.c.reset !== 'function') return 'unsupported';
            await state.c.reset();
            return 'reset';
        }
        if (s.call === 'kill') {
            const other = await open(how);
            await other.query(`KILL ${state.c.threadId}`);
            await other.end();
            let was = 'alive';
            try { await state.c.query("SELECT 'still alive'"); } catch (e) { was = 'lost'; }
            try { state.c.destroy(); } catch (e) { /* it is gone */ }
            state.c = await open(how);
            return was;
        }
        if ('use' in s) {
            await state.c.query('USE ' + s.use);
            return 'used';
        }
        await state.c.changeUser({ user: s.change_user.user, password: s.change_user.password, database: how.db });
        return 'changed';
    } catch (e) {
        return error(e);
    }
}

async function main() {
    const out = (c, s, got) => fs.writeSync(1, JSON.stringify({ case: c, step: s, got }) + '\n');
    for (const [number, one] of plan.cases.entries()) {
        const state = {};
        try {
            state.c = await open(one.connect);
            out(number, -1, 'connected');
        } catch (e) {
            out(number, -1, error(e));
            continue;
        }
        for (const [i, s] of one.steps.entries()) out(number, i, await step(state, s, one.connect));
        try { await state.c.end(); } catch (e) { /* it is gone */ }
    }
    process.exit(0);
}

main().catch((e) => { console.error(e); process.exit(1); });
