// Package doctor looks at a deployment from outside and says in plain words what is wrong with it. Each check has a file of its own.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/internal/bus"
)

// Finding is one thing that was looked at.
type Finding struct {
	Check string `json:"check"`
	Level Level  `json:"level"`
	Says  string `json:"says"`
}

// Level is how bad a finding is.
type Level string

// The levels. A deployment with something wrong does not do its work; one with a warning does, and somebody should know.
const (
	Well    Level = "ok"
	Warning Level = "warning"
	Wrong   Level = "wrong"
)

// Deployment is what is looked at.
type Deployment struct {
	Getenv func(string) string
	// Common is what could be read of the settings that all services share, Unread why the rest could not.
	Common boot.Common
	Unread error
	// Bus and Database connect, or return what is connected already.
	Bus      func(context.Context) (*bus.Bus, error)
	Database func(context.Context) (*bun.DB, error)
}

// check is one kind of look. None depends on another: what cannot be looked at because something else is wrong stays silent.
type check func(*examination, context.Context)

// checks are all of them, in the order in which they are told.
var checks = []check{
	(*examination).settings, (*examination).addresses, (*examination).scopes,
	(*examination).nats, (*examination).storing, (*examination).postgres, (*examination).disk, (*examination).posts, (*examination).emitting, (*examination).skipped,
	(*examination).keys, (*examination).issuer, (*examination).reachThreads,
}

// checkWithin bounds one check: what hangs must not keep the others from being told.
const checkWithin = time.Minute

// Examine looks at everything.
func Examine(ctx context.Context, d Deployment) []Finding {
	e := &examination{getenv: d.Getenv, common: d.Common, unread: d.Unread, streams: d.Bus, database: d.Database}
	for _, look := range checks {
		ctx, cancel := context.WithTimeout(ctx, checkWithin)
		look(e, ctx)
		cancel()
	}
	return e.found
}

type examination struct {
	getenv   func(string) string
	common   boot.Common
	unread   error
	streams  func(context.Context) (*bus.Bus, error)
	database func(context.Context) (*bun.DB, error)
	db       *bun.DB // nil: it cannot be had, which postgres has said

	found []Finding
}

func (e *examination) say(level Level, check, format string, args ...any) {
	e.found = append(e.found, Finding{check, level, fmt.Sprintf(format, args...)})
}

// sayEach says each of the errors that were joined as a line of its own. format has one %s.
func (e *examination) sayEach(level Level, check, format string, err error) {
	for _, one := range leaves(err) {
		e.say(level, check, format, oneLine(one))
	}
}

// leaves are the errors that were joined.
func leaves(err error) (all []error) {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	for _, one := range joined.Unwrap() {
		all = append(all, leaves(one)...)
	}
	return all
}

// oneLine is an error without its line breaks, and without the lines that it repeats.
func oneLine(err error) string {
	var said []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.Join(strings.Fields(line), " "); line != "" && !slices.Contains(said, line) {
			said = append(said, line)
		}
	}
	return strings.Join(said, " ")
}

// ErrUnwell is the end of an examination that found something wrong.
var ErrUnwell = errors.New("something is wrong with this deployment; the lines above say what")
