package local

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

const (
	fastLimit      = 10 * time.Second
	immediateLimit = 10 * time.Second // after 5 s the server itself kills what does not listen
)

// child is a process that ends with us. err is its outcome, to be read once exited is closed.
type child struct {
	process *os.Process
	exited  chan struct{}
	err     error
}

func startChild(cmd *exec.Cmd) (*child, error) {
	c := &child{exited: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// Linux sends the parent-death signal when the *thread* that forked ends, so this one stays until the child has
		// ended.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		c.process = cmd.Process
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(c.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// stop asks a Postgres to end, ever less politely, and returns when it has.
func (c *child) stop() error {
	for _, step := range []struct {
		signal os.Signal
		limit  time.Duration
	}{
		{os.Interrupt, fastLimit},
		{syscall.SIGQUIT, immediateLimit},
	} {
		if err := c.process.Signal(step.signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		select {
		case <-c.exited:
			return nil
		case <-time.After(step.limit):
		}
	}
	_ = c.process.Kill()
	<-c.exited
	return errors.New("postgres did not stop and had to be killed")
}
