// SPDX-License-Identifier: Apache-2.0

// run_go PLAN: one of the suite's runners (suite.py says what a plan is), with go-sql-driver/mysql.
package main

import (
	"context"
	"crypto/sha1"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-sql-driver/mysql"
)

type connectPlan struct {
	User, Password, Db, Tls, Via string
	Multi                        bool
}

type stepPlan struct {
	Q          *string
	P          *string
	Args       []interface{} // lists of arguments; a text is a statement to run in between
	Call       string
	Use        string
	Multi      bool
	ChangeUser map[string]string `json:"change_user"`
}

type plan struct {
	Endpoint struct {
		Host, Socket, Ca string
		Port             int
	}
	Cases []struct {
		Connect connectPlan
		Steps   []stepPlan
	}
}

var big = strings.Repeat("x", 17*1024*1024)
var hasRows = regexp.MustCompile(`(?is)^\s*(/\*.*?\*/\s*)*\(?\s*(SELECT|SHOW|WITH|EXPLAIN|DESCRIBE|CALL|EXECUTE|VALUES|TABLE)\b`)

func plain(v interface{}) interface{} {
	switch x := v.(type) {
	case []byte:
		if len(x) > 200 {
			sum := sha1.Sum(x)
			return map[string]interface{}{"bytes": hex.EncodeToString(sum[:]), "length": len(x)}
		}
		if utf8.Valid(x) {
			return map[string]interface{}{"text": string(x)}
		}
		return map[string]interface{}{"bytes": hex.EncodeToString(x)}
	case nil:
		return nil
	default:
		return map[string]interface{}{fmt.Sprintf("%T", x): fmt.Sprint(x)}
	}
}

func argument(v interface{}) interface{} {
	switch x := v.(type) {
	case map[string]interface{}:
		if h, ok := x["hex"]; ok {
			b, _ := hex.DecodeString(h.(string))
			return b
		}
		if n, ok := x["big"]; ok {
			return strings.Repeat("x", int(n.(float64)))
		}
		t, _ := time.Parse("2006-01-02 15:04:05", x["time"].(string))
		return t
	case float64:
		if x == float64(int64(x)) {
			return int64(x)
		}
	}
	return v
}

func failure(err error) map[string]interface{} {
	var my *mysql.MySQLError
	if errors.As(err, &my) {
		return map[string]interface{}{"err": my.Number, "text": my.Message}
	}
	return map[string]interface{}{"err": 0, "text": err.Error()}
}

func allRows(rows *sql.Rows) []interface{} {
	found := []interface{}{}
	defer rows.Close()
	for {
		types, err := rows.ColumnTypes()
		if err != nil {
			return append(found, failure(err))
		}
		cols := []interface{}{}
		for _, t := range types {
			nullable, _ := t.Nullable()
			precision, scale, _ := t.DecimalSize()
			cols = append(cols, []interface{}{t.Name(), t.DatabaseTypeName(), nullable, precision, scale, t.ScanType().String()})
		}
		list := []interface{}{}
		for rows.Next() {
			values := make([]interface{}, len(types))
			into := make([]interface{}, len(types))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				return append(found, failure(err))
			}
			for i := range values {
				values[i] = plain(values[i])
			}
			list = append(list, values)
		}
		found = append(found, map[string]interface{}{"cols": cols, "rows": list})
		if err := rows.Err(); err != nil {
			return append(found, failure(err))
		}
		if !rows.NextResultSet() {
			break
		}
	}
	if err := rows.Err(); err != nil {
		found = append(found, failure(err))
	}
	return found
}

type session struct {
	db   *sql.DB
	conn *sql.Conn
}

func (p *plan) open(how connectPlan) (*session, error) {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.DBName = how.User, how.Password, how.Db
	c.Net, c.Addr = "tcp", fmt.Sprintf("%s:%d", p.Endpoint.Host, p.Endpoint.Port)
	if how.Via == "socket" {
		c.Net, c.Addr = "unix", p.Endpoint.Socket
	}
	c.MultiStatements, c.MaxAllowedPacket, c.Timeout = how.Multi, 64<<20, 20*time.Second
	if how.Tls == "on" {
		c.TLSConfig = "skip-verify"
	}
	db, err := sql.Open("mysql", c.FormatDSN())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(context.Background())
	if err != nil {
		db.Close()
		return nil, err
	}
	return &session{db, conn}, nil
}

func (s *session) close() {
	s.conn.Close()
	s.db.Close()
}

func (s *session) query(text string, multi bool) interface{} {
	ctx := context.Background()
	if multi || hasRows.MatchString(text) {
		rows, err := s.conn.QueryContext(ctx, text)
		if err != nil {
			return []interface{}{failure(err)}
		}
		return allRows(rows)
	}
	r, err := s.conn.ExecContext(ctx, text)
	if err != nil {
		return []interface{}{failure(err)}
	}
	n, _ := r.RowsAffected()
	id, _ := r.LastInsertId()
	return []interface{}{map[string]interface{}{"affected": n, "id": id}}
}

func (s *session) prepared(text string, argsets []interface{}) interface{} {
	ctx := context.Background()
	st, err := s.conn.PrepareContext(ctx, text)
	if err != nil {
		return []interface{}{failure(err)}
	}
	defer st.Close()
	found := []interface{}{}
	for _, one := range argsets {
		if between, ok := one.(string); ok {
			found = append(found, s.query(between, false))
			continue
		}
		set := one.([]interface{})
		args := make([]interface{}, len(set))
		for i := range set {
			args[i] = argument(set[i])
		}
		if hasRows.MatchString(text) {
			rows, err := st.QueryContext(ctx, args...)
			if err != nil {
				found = append(found, failure(err))
			} else {
				found = append(found, allRows(rows))
			}
			continue
		}
		r, err := st.ExecContext(ctx, args...)
		if err != nil {
			found = append(found, failure(err))
			continue
		}
		n, _ := r.RowsAffected()
		id, _ := r.LastInsertId()
		found = append(found, map[string]interface{}{"affected": n, "id": id})
	}
	return found
}

func (p *plan) call(s *session, step stepPlan, how connectPlan) interface{} {
	ctx := context.Background()
	if step.Use != "" {
		if _, err := s.conn.ExecContext(ctx, "USE "+step.Use); err != nil {
			return failure(err)
		}
		return "used"
	}
	switch step.Call {
	case "ping":
		if err := s.conn.PingContext(ctx); err != nil {
			return failure(err)
		}
		return "pong"
	case "kill":
		var id int64
		if err := s.conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&id); err != nil {
			return failure(err)
		}
		other, err := p.open(how)
		if err != nil {
			return failure(err)
		}
		_, err = other.conn.ExecContext(ctx, fmt.Sprintf("KILL %d", id))
		other.close()
		if err != nil {
			return failure(err)
		}
		was := "alive"
		if _, err := s.conn.ExecContext(ctx, "DO 0"); err != nil {
			was = "lost"
		}
		s.close()
		again, err := p.open(how)
		if err != nil {
			return failure(err)
		}
		*s = *again
		return was
	}
	return "unsupported"
}

func main() {
	raw, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	var p plan
	if err := json.Unmarshal(raw, &p); err != nil {
		panic(err)
	}
	mysql.SetLogger(quiet{})
	enc := json.NewEncoder(os.Stdout)
	out := func(c, s int, got interface{}) {
		if err := enc.Encode(map[string]interface{}{"case": c, "step": s, "got": got}); err != nil {
			panic(err)
		}
	}
	for number, one := range p.Cases {
		s, err := p.open(one.Connect)
		if err != nil {
			out(number, -1, failure(err))
			continue
		}
		out(number, -1, "connected")
		for i, step := range one.Steps {
			switch {
			case step.Q != nil:
				out(number, i, s.query(strings.ReplaceAll(*step.Q, "@BIG@", big), step.Multi))
			case step.P != nil:
				out(number, i, s.prepared(*step.P, step.Args))
			default:
				out(number, i, p.call(s, step, one.Connect))
			}
		}
		s.close()
	}
}

type quiet struct{}

func (quiet) Print(...interface{}) {}
