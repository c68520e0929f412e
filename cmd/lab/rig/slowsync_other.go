//go:build !linux

package rig

import (
	"context"
	"errors"
	"io"
	"time"
)

// SlowSyncs is for Linux only.
func SlowSyncs(context.Context, time.Duration, string, []string, io.Reader, io.Writer, io.Writer) error {
	return errors.New("syncs can be slowed down on Linux only")
}
