// Package panics makes errors of panics.
package panics

import (
	"fmt"
	"runtime/debug"
)

// ToError, deferred, makes an error of a panic. The handlers of messages have theirs caught; anywhere else one would end the
// process, and every next one that comes to the same post.
func ToError(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
	}
}
