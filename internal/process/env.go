package process

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// Checker is a configuration that knows what is wrong with itself. Mistakes names each in a sentence that begins with
// the setting's name.
type Checker interface{ Mistakes() []error }

// Env reads a configuration from the environment into the fields of T that carry an `env` tag. getenv is os.Getenv, or
// a test's map. A setting that is set but empty takes its default. NAME may also come from the file that NAME_FILE
// names, as secrets do in containers.
//
// All mistakes come back at once, T's own among them, and none shows a value: it may be a secret in the wrong place.
func Env[T any](getenv func(string) string) (T, error) {
	var cfg T
	params, err := env.GetFieldParams(&cfg)
	if err != nil {
		return cfg, fmt.Errorf("read the settings: %w", err)
	}
	var wrong []error
	vars := map[string]string{}
	for _, p := range params {
		value, err := lookUp(getenv, p.Key)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		if value != "" {
			vars[p.Key] = value
		}
	}
	if err := env.ParseWithOptions(&cfg, env.Options{Environment: vars}); err != nil {
		wrong = append(wrong, explain(err, reflect.TypeFor[T]())...)
	}
	if c, ok := any(cfg).(Checker); ok {
		wrong = append(wrong, c.Mistakes()...)
	}
	return cfg, errors.Join(wrong...)
}

func lookUp(getenv func(string) string, name string) (string, error) {
	value, file := getenv(name), getenv(name+"_FILE")
	switch {
	case file == "":
		return value, nil
	case value != "":
		return "", fmt.Errorf("%s and %[1]s_FILE are both set; set one", name)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s_FILE: %w", name, err)
	}
	return strings.TrimRight(string(content), "\r\n"), nil // editors end files with a newline
}

// explain turns the library's errors, which name Go fields and quote values, into sentences about settings.
func explain(err error, config reflect.Type) []error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return []error{err}
	}
	said := make([]error, 0, len(all.Errors))
	for _, err := range all.Errors {
		var unread env.ParseError
		if errors.As(err, &unread) {
			err = fmt.Errorf("%s is not %s", settingName(config, unread.Name), kindInWords(unread.Type))
		}
		said = append(said, err)
	}
	return said
}

func settingName(config reflect.Type, field string) string {
	for _, f := range reflect.VisibleFields(config) {
		if f.Name == field {
			name, _, _ := strings.Cut(f.Tag.Get("env"), ",")
			return name
		}
	}
	return field
}

func kindInWords(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "a duration such as 10s, 2m or 24h"
	case reflect.TypeFor[time.Time]():
		return "a time such as 2026-11-22T10:00:00Z"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number in range"
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return "a valid " + t.String()
	}
}
