package publisher

import (
	"fmt"
	"runtime/debug"
)

// caught, deferred, makes an error of a panic. The handlers of messages have theirs caught; anywhere else one would end the
// process, and every next one that comes to the same post.
func caught(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
	}
}
