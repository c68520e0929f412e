package pg

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"
)

// Rows is a list of rows as parameters of a prepared statement, an array for each column: the text of the statement is the same
// however many there are.
type Rows struct {
	From    string // the query that gives them, in their order (the column _order)
	Columns string // their names without that
	Args    []any
}

// NewRows makes them of a pointer to a list of structs as bun knows them. The first parameter has the number first.
func NewRows(db bun.IDB, first int, list any) (Rows, error) {
	rows := reflect.ValueOf(list).Elem()
	table := db.NewSelect().DB().Table(rows.Type().Elem())
	r := Rows{}
	var chosen, arrays, names []string
	for _, f := range table.Fields {
		c := columnOf(f)
		values, err := c.values(f, rows)
		if err != nil {
			return r, fmt.Errorf("column %s: %w", f.Name, err)
		}
		name := string(f.SQLName)
		chosen, names = append(chosen, name+c.as), append(names, name)
		arrays = append(arrays, parameter(first+len(r.Args))+"::"+c.of+"[]")
		r.Args = append(r.Args, values)
	}
	r.Columns = strings.Join(names, ", ")
	r.From = "SELECT " + strings.Join(chosen, ", ") + ", _order FROM unnest(" + strings.Join(arrays, ", ") + ") WITH ORDINALITY AS each (" +
		r.Columns + ", _order)"
	return r, nil
}

// column is how a column is handed over: as an array of what, and made what of.
type column struct {
	of     string
	as     string
	values func(*schema.Field, reflect.Value) (any, error)
}

func columnOf(f *schema.Field) column {
	switch {
	case f.Tag.HasOption("array"): // unnest would take the lists in a list apart
		return column{"text", "::text[] AS " + string(f.SQLName), arrayOf(func(v reflect.Value) (string, error) {
			b, err := encodeTexts(v.Interface())
			if b == nil {
				return "{}", err
			}
			return string(b), err
		})}
	case strings.EqualFold(f.UserSQLType, "jsonb"):
		return column{"text", "::jsonb AS " + string(f.SQLName), arrayOf(func(v reflect.Value) (string, error) {
			b, err := json.Marshal(v.Interface())
			return string(bytes.ReplaceAll(b, []byte(`\u0000`), []byte(`\\u0000`))), err // as bun does: jsonb knows no such letter
		})}
	case f.IndirectType == reflect.TypeFor[time.Time]():
		return column{"timestamptz", "", arrayOf(func(v reflect.Value) (time.Time, error) {
			return v.Interface().(time.Time), nil //nolint:forcetypeassert // as the case says
		})}
	}
	switch f.IndirectType.Kind() {
	case reflect.String:
		return column{"text", "", arrayOf(func(v reflect.Value) (string, error) { return strings.ToValidUTF8(v.String(), "\uFFFD"), nil })}
	case reflect.Int, reflect.Int64:
		return column{"bigint", "", arrayOf(func(v reflect.Value) (int64, error) { return v.Int(), nil })}
	case reflect.Float64:
		return column{"float8", "", arrayOf(func(v reflect.Value) (float64, error) { return v.Float(), nil })}
	case reflect.Bool:
		return column{"boolean", "", arrayOf(func(v reflect.Value) (bool, error) { return v.Bool(), nil })}
	}
	panic(fmt.Sprintf("pg: no array of %s", f.IndirectType))
}

// arrays knows how a list becomes an array of Postgres'. It notes what it has found out, so it is one goroutine's at a time.
var arrays = struct {
	sync.Mutex
	types *pgtype.Map
}{types: pgtype.NewMap()}

func encodeTexts(list any) ([]byte, error) {
	arrays.Lock()
	defer arrays.Unlock()
	return arrays.types.Encode(pgtype.TextArrayOID, pgtype.TextFormatCode, list, []byte{})
}

// arrayOf makes the array of a column of values that one makes; a nil pointer, and a zero that bun would write as NULL, is NULL.
func arrayOf[T any](one func(reflect.Value) (T, error)) func(*schema.Field, reflect.Value) (any, error) {
	return func(f *schema.Field, rows reflect.Value) (any, error) {
		values := make([]*T, rows.Len())
		for i := range values {
			v := rows.Index(i).FieldByIndex(f.Index)
			if f.IsPtr && v.IsNil() || f.NullZero && v.IsZero() {
				continue
			}
			if f.IsPtr {
				v = v.Elem()
			}
			value, err := one(v)
			if err != nil {
				return nil, err
			}
			values[i] = &value
		}
		return values, nil
	}
}
