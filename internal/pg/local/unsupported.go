//go:build !unix

package local

import (
	"errors"
	"io"
	"syscall"
)

// Elsewhere the package only has to compile: Start refuses before any of this is called.
const supported = false

type account struct{}

func dropTo() (*account, error)                    { return nil, nil }
func (*account) own(string) error                  { return nil }
func prepareDir(string, *account) error            { return nil }
func enterable(string, *account) error             { return nil }
func childAttr(*account) *syscall.SysProcAttr      { return nil }
func servesFrom(int, string) bool                  { return false }
func alive(int) bool                               { return false }
func interrupt(int)                                {}
func (*account) sysProcAttr() *syscall.SysProcAttr { return nil }
func lockDir(string) (io.Closer, error)            { return nil, errors.ErrUnsupported }
