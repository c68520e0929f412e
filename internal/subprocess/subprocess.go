// Package subprocess runs this program again, in a process of its own: the parts of a bench, a torture run or a test that have to
// be killed, suspended or asked for their exit code. In a test the program is the test's own binary, whose TestMain looks at
// Is before anything else.
package subprocess

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// mark in the environment says that a process is a child.
const mark = "THREADS_SUBPROCESS"

// Is reports whether this process is a child.
func Is() bool { return os.Getenv(mark) != "" }

// Program is the file of this program.
func Program() (string, error) {
	file, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	return file, nil
}

// Command is what a child is told.
type Command struct {
	Program string // empty: this program
	Words   []string
	Env     []string  // all of it; nil: ours
	Out     io.Writer // nil: nowhere
	Log     io.Writer // of its standard error; nil: nowhere
}

// Process is a child. Its standard input ends with us, however we end: it is up to the child to end then, too.
type Process struct {
	URL string // where it serves, if it was started by Serve

	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ended chan struct{}
	err   error // how it ended

	mu     sync.Mutex
	paused bool
}

// Start starts a child, which is killed when ctx ends.
func Start(ctx context.Context, c Command) (_ *Process, err error) {
	name := strings.Join(c.Words[:min(2, len(c.Words))], " ")
	if c.Program != "" {
		name = filepath.Base(c.Program)
	} else if c.Program, err = Program(); err != nil {
		return nil, err
	}
	p := &Process{name: name, cmd: exec.CommandContext(ctx, c.Program, c.Words...), ended: make(chan struct{})}
	if c.Env == nil {
		c.Env = os.Environ()
	}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = append(c.Env[:len(c.Env):len(c.Env)], mark+"=1"), c.Out, c.Log
	p.cmd.WaitDelay = time.Minute // for what a child has started in turn, and which still holds its output
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// Serve starts a child whose first line of output is its address, and waits for that. Of one that ends before it has an
// address, the error comes with the process, ended.
func Serve(ctx context.Context, c Command) (*Process, error) {
	out, in := io.Pipe()
	c.Out = in
	p, err := Start(ctx, c)
	if err != nil {
		return nil, err
	}
	go func() {
		<-p.ended
		_ = in.Close()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	go func() { _, _ = io.Copy(io.Discard, out) }()
	p.URL = strings.TrimSpace(line)
	if err != nil || p.URL == "" {
		p.Kill()
		return p, fmt.Errorf("%s did not come up", p.name)
	}
	return p, nil
}

// Run runs a child to its end.
func Run(ctx context.Context, c Command) error {
	p, err := Start(ctx, c)
	if err != nil {
		return err
	}
	return p.Wait()
}

// PID is the process' number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Wait waits for the end of the process. The error is the one of [exec.Cmd.Wait].
func (p *Process) Wait() error {
	<-p.ended
	return p.err
}

// Status is how the process ended; it waits for that.
func (p *Process) Status() syscall.WaitStatus {
	<-p.ended
	status, _ := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return status
}

// String is what the process was started as.
func (p *Process) String() string { return p.name }

// Alive says whether the process has not ended.
func (p *Process) Alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Signal sends the process a signal.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Kill is kill -9.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// CloseInput ends the process's standard input.
func (p *Process) CloseInput() { _ = p.stdin.Close() }

// Stop lets the process end by itself, and kills it when it does not.
func (p *Process) Stop() {
	p.Resume()
	p.CloseInput()
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
		p.Kill()
	}
}

// Pause stops the process as a machine would that is suspended; Resume lets it go on as if nothing had been.
func (p *Process) Pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.paused && p.cmd.Process.Signal(syscall.SIGSTOP) == nil {
		p.paused = true
	}
}

// Resume lets a paused process go on.
func (p *Process) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paused {
		_ = p.cmd.Process.Signal(syscall.SIGCONT)
		p.paused = false
	}
}

// Tell writes a line to the process's standard input. One that has ended is left alone.
func (p *Process) Tell(line string) { _, _ = fmt.Fprintln(p.stdin, line) }

// Ready asks the process whether it may be relied on.
func (p *Process) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		failing, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("it answers %s: %s", resp.Status, bytes.TrimSpace(failing))
	}
	return nil
}

// Memory is what the process holds now and has held at most, in bytes; 0 where the system does not say.
func (p *Process) Memory() (now, most int64) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(status)) {
		name, rest, _ := strings.Cut(line, ":")
		kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		switch {
		case err != nil:
		case name == "VmRSS":
			now = kb << 10
		case name == "VmHWM":
			most = kb << 10
		}
	}
	return now, most
}
