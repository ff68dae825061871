<?php
// SPDX-License-Identifier: Apache-2.0
// run_php.php mysqli|pdo PLAN: one of the suite's runners (suite.py says what a plan is).
declare(strict_types=1);
ini_set('memory_limit', '1G');
ini_set('default_socket_timeout', '30');
$driver = $argv[1];
$plan = json_decode(file_get_contents($argv[2]), true, 512, JSON_THROW_ON_ERROR);
$big = str_repeat('x', 17 * 1024 * 1024);

function plain($v)
{
    if (is_float($v)) {
        return ['float' => var_export($v, true)];
    }
    if (!is_string($v)) {
        return $v;
    }
    if (strlen($v) > 200) {
        return ['text' => sha1($v), 'length' => strlen($v)];
    }
    return preg_match('//u', $v) ? $v : ['bytes' => bin2hex($v)];
}

function argument($v)
{
    if (is_array($v)) {
        return $v['time'] ?? (isset($v['hex']) ? hex2bin($v['hex']) : str_repeat('x', $v['big']));
    }
    return $v;
}

function out(int $case, int $step, $got): void
{
    echo json_encode(['case' => $case, 'step' => $step, 'got' => $got],
        JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE), "\n";
}

final class WithMysqli
{
    public ?mysqli $c = null;

    public function __construct(private array $end)
    {
        mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
    }

    public function open(array $how): array
    {
        $this->c = $this->make($how);
        return ['server' => $this->c->server_info, 'charset' => $this->c->character_set_name()];
    }

    private function make(array $how): mysqli
    {
        $c = mysqli_init();
        $c->options(MYSQLI_OPT_CONNECT_TIMEOUT, 20);
        $flags = $how['tls'] === 'on' ? MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_SSL_DONT_VERIFY_SERVER_CERT : 0;
        $socket = $how['via'] === 'socket' ? $this->end['socket'] : null;
        @$c->real_connect($socket ? 'localhost' : $this->end['host'], $how['user'], $how['password'] ?? '',
            $how['db'] ?? '', $this->end['port'], $socket ?? '', $flags);
        $c->set_charset('utf8mb4');
        return $c;
    }

    public function error(mysqli_sql_exception $e): array
    {
        return ['err' => $e->getCode(), 'state' => $e->getSqlState(), 'text' => $e->getMessage()];
    }

    private function meta(array $fields): array
    {
        return array_map(fn($f) => [$f->name, $f->type, $f->flags, $f->charsetnr, $f->length, $f->decimals,
            $f->table, $f->orgname, $f->db], $fields);
    }

    private function one($result): array
    {
        if ($result instanceof mysqli_result) {
            $rows = array_map(fn($r) => array_map('plain', $r), $result->fetch_all(MYSQLI_NUM));
            return ['cols' => $this->meta($result->fetch_fields()), 'rows' => $rows];
        }
        return ['affected' => $this->c->affected_rows, 'id' => $this->c->insert_id,
            'info' => $this->c->info, 'warnings' => $this->c->warning_count];
    }

    public function query(string $sql, bool $multi): array
    {
        $found = [];
        try {
            if (!$multi && !str_starts_with($sql, 'CALL')) {
                return [$this->one($this->c->query($sql))];
            }
            $this->c->multi_query($sql);
            do {
                $found[] = $this->one($this->c->store_result());
            } while ($this->c->more_results() && $this->c->next_result());
        } catch (mysqli_sql_exception $e) {
            $found[] = $this->error($e);
        }
        return $found;
    }

    public function prepared(string $sql, array $argsets): array
    {
        $found = [];
        try {
            $s = $this->c->prepare($sql);
            foreach ($argsets as $args) {
                if (is_string($args)) {
                    array_push($found, ...$this->query($args, false));
                    continue;
                }
                $types = '';
                $values = array_map('argument', $args);
                foreach ($values as $i => $v) {
                    $types .= is_int($v) ? 'i' : (is_float($v) ? 'd' : 's');
                }
                if ($types !== '') {
                    $s->bind_param($types, ...$values);
                }
                try {
                    $s->execute();
                    do {
                        $r = $s->get_result();
                        $found[] = $r ? $this->one($r)
                            : ['affected' => $s->affected_rows, 'id' => $s->insert_id];
                    } while ($s->more_results() && $s->next_result());
                } catch (mysqli_sql_exception $e) {
                    $found[] = $this->error($e);
                }
            }
            $s->close();
        } catch (mysqli_sql_exception $e) {
            $found[] = $this->error($e);
        }
        return $found;
    }

    public function call(array $step, array $how)
    {
        try {
            if (isset($step['use'])) {
                $this->c->select_db($step['use']);
                return 'used';
            }
            if (isset($step['change_user'])) {
                $this->c->change_user($step['change_user']['user'], $step['change_user']['password'] ?? '', $how['db']);
                return 'changed';
            }
            if ($step['call'] === 'ping') {
                return $this->c->ping();
            }
            if ($step['call'] === 'kill') {
                $other = $this->make($how);
                $other->query('KILL ' . $this->c->thread_id);
                $other->close();
                $was = 'alive';
                try {
                    @$this->c->query("SELECT 'still alive'");
                } catch (mysqli_sql_exception $e) {
                    $was = 'lost';
                }
                $this->c = $this->make($how);
                return $was;
            }
        } catch (mysqli_sql_exception $e) {
            return $this->error($e);
        }
        return 'unsupported';
    }

    public function close(): void
    {
        $this->c?->close();
        $this->c = null;
    }
}

final class WithPdo
{
    public ?PDO $c = null;

    public function __construct(private array $end)
    {
    }

    public function open(array $how): array
    {
        $this->c = $this->make($how);
        return ['server' => $this->c->getAttribute(PDO::ATTR_SERVER_VERSION)];
    }

    private function make(array $how): PDO
    {
        $dsn = $how['via'] === 'socket' ? "mysql:unix_socket={$this->end['socket']}"
            : "mysql:host={$this->end['host']};port={$this->end['port']}";
        $dsn .= ';charset=utf8mb4' . ($how['db'] ? ";dbname={$how['db']}" : '');
        $options = [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_TIMEOUT => 20,
            PDO::ATTR_EMULATE_PREPARES => false, PDO::MYSQL_ATTR_MULTI_STATEMENTS => $how['multi']];
        if ($how['tls'] === 'on') {
            $options[PDO::MYSQL_ATTR_SSL_CA] = $this->end['ca'];
            $options[PDO::MYSQL_ATTR_SSL_VERIFY_SERVER_CERT] = false;
        }
        return @new PDO($dsn, $how['user'], $how['password'], $options);
    }

    public function error(PDOException $e): array
    {
        $number = $e->errorInfo[1] ?? (is_int($e->getCode()) ? $e->getCode() : 0);
        return ['err' => $number, 'state' => $e->errorInfo[0] ?? '', 'text' => $e->getMessage()];
    }

    private function all(PDOStatement $s): array
    {
        $found = [];
        do {
            if ($s->columnCount() === 0) {
                $found[] = ['affected' => $s->rowCount(), 'id' => $this->c->lastInsertId()];
                continue;
            }
            $cols = [];
            for ($i = 0; $i < $s->columnCount(); $i++) {
                $m = $s->getColumnMeta($i);
                $cols[] = [$m['name'], $m['native_type'] ?? '', $m['flags'] ?? [], $m['len'], $m['precision'], $m['table'] ?? ''];
            }
            $rows = array_map(fn($r) => array_map('plain', $r), $s->fetchAll(PDO::FETCH_NUM));
            $found[] = ['cols' => $cols, 'rows' => $rows];
        } while ($s->nextRowset());
        return $found;
    }

    public function query(string $sql, bool $multi): array
    {
        try {
            // PDO::query() would prepare: emulation is how PDO sends text
            $this->c->setAttribute(PDO::ATTR_EMULATE_PREPARES, true);
            $s = @$this->c->query($sql);
            if ($s === false) {
                return [['err' => 0, 'text' => 'the driver does not know what it was sent']];
            }
            $found = $this->all($s);
            $s->closeCursor();
            return $found;
        } catch (PDOException $e) {
            return [$this->error($e)];
        } finally {
            $this->c->setAttribute(PDO::ATTR_EMULATE_PREPARES, false);
        }
    }

    public function prepared(string $sql, array $argsets): array
    {
        $found = [];
        try {
            $s = $this->c->prepare($sql);
            foreach ($argsets as $args) {
                if (is_string($args)) {
                    array_push($found, ...$this->query($args, false));
                    continue;
                }
                foreach (array_map('argument', $args) as $i => $v) {
                    $s->bindValue($i + 1, $v, is_int($v) ? PDO::PARAM_INT : ($v === null ? PDO::PARAM_NULL : PDO::PARAM_STR));
                }
                try {
                    $s->execute();
                    $found[] = $this->all($s);
                    $s->closeCursor();
                } catch (PDOException $e) {
                    $found[] = $this->error($e);
                }
            }
        } catch (PDOException $e) {
            $found[] = $this->error($e);
        }
        return $found;
    }

    public function call(array $step, array $how)
    {
        try {
            if (isset($step['use'])) {
                $this->c->exec('USE ' . $step['use']);
                return 'used';
            }
            if (($step['call'] ?? '') === 'kill') {
                $id = $this->c->query('SELECT CONNECTION_ID()')->fetchColumn();
                $this->make($how)->exec("KILL $id");
                $was = 'alive';
                try {
                    @$this->c->query("SELECT 'still alive'");
                } catch (PDOException $e) {
                    $was = 'lost';
                }
                $this->c = $this->make($how);
                return $was;
            }
        } catch (PDOException $e) {
            return $this->error($e);
        }
        return 'unsupported';
    }

    public function close(): void
    {
        $this->c = null;
    }
}

$with = $driver === 'mysqli' ? new WithMysqli($plan['endpoint']) : new WithPdo($plan['endpoint']);
foreach ($plan['cases'] as $number => $case) {
    try {
        out($number, -1, $with->open($case['connect']));
    } catch (mysqli_sql_exception | PDOException $e) {
        out($number, -1, $with->error($e));
        continue;
    }
    foreach ($case['steps'] as $i => $step) {
        if (!$step) {
            $got = 'unsupported';
        } elseif (isset($step['q'])) {
            $got = $with->query(str_replace('@BIG@', $big, $step['q']), $step['multi'] ?? false);
        } elseif (isset($step['p'])) {
            $got = $with->prepared($step['p'], $step['args']);
        } else {
            $got = $with->call($step, $case['connect']);
        }
        out($number, $i, $got);
    }
    $with->close();
}
