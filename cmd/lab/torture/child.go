package torture

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/internal/bus/natsd"
	"github.com/omni-write/threads/internal/crash"
	"github.com/omni-write/threads/internal/process"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// What is to be killed and stopped runs in processes of its own: this program again, under these words. They end when
// their standard input does, so none outlives the run, and their first line of output is their address.
const (
	wordNATS      = "nats"
	wordSimulator = "simulator"
	wordPublisher = "publisher"
)

// child is such a process.
type child struct {
	url   string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ended chan struct{}

	mu     sync.Mutex
	paused bool
}

// spawn starts this program again and waits for its address. A process that dies before it has one is no error of the
// machinery when it was told to: then the child comes back with ended closed.
func spawn(ctx context.Context, env []string, log io.Writer, words ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	c := &child{cmd: exec.CommandContext(ctx, self, append([]string{"torture"}, words...)...), ended: make(chan struct{})}
	c.cmd.Env, c.cmd.Stderr = append(os.Environ(), env...), log
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", words[0], err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	go func() {
		_, _ = io.Copy(io.Discard, out)
		_ = c.cmd.Wait()
		close(c.ended)
	}()
	c.url = strings.TrimSpace(line)
	if err != nil || c.url == "" {
		c.kill()
		return c, fmt.Errorf("%s did not come up", words[0])
	}
	return c, nil
}

// alive says whether the process has not ended.
func (c *child) alive() bool {
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}

// kill is kill -9.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.ended
}

// stop lets the process end by itself, and kills it when it does not.
func (c *child) stop() {
	c.resume()
	_ = c.stdin.Close()
	select {
	case <-c.ended:
	case <-time.After(10 * time.Second):
		c.kill()
	}
}

// pause stops the process as a machine would that is suspended; resume lets it go on as if nothing had been.
func (c *child) pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.paused && c.cmd.Process.Signal(syscall.SIGSTOP) == nil {
		c.paused = true
	}
}

func (c *child) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.paused {
		_ = c.cmd.Process.Signal(syscall.SIGCONT)
		c.paused = false
	}
}

// untilEOF ends ctx with the standard input.
func untilEOF(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return ctx, cancel
}

// runNATS is a nats-server that syncs every message.
func runNATS(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("torture nats", flag.ContinueOnError)
	dir := flags.String("dir", "", "where the streams are kept")
	port := flags.Int("port", 0, "where to listen, on this machine only")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, cancel := untilEOF(ctx)
	defer cancel()
	log, err := process.Logger("warn", "json")
	if err != nil {
		return err
	}
	s, err := natsd.Start(natsd.Options{StoreDir: *dir, Host: "127.0.0.1", Port: *port, SyncAlways: true, Log: log})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, s.ClientURL()); err != nil {
		return err
	}
	<-ctx.Done()
	return s.Close()
}

// runSimulator is the simulated Threads in its quick profile.
func runSimulator(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("torture simulator", flag.ContinueOnError)
	journal := flags.String("journal", "", "file for what must survive a restart")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, cancel := untilEOF(ctx)
	defer cancel()
	knobs := threadssim.Quick()
	if err := knobs.Read([]byte(normal)); err != nil {
		return err
	}
	sim, err := threadssim.New(threadssim.Options{Journal: *journal, Knobs: &knobs})
	if err != nil {
		return err
	}
	defer func() { _ = sim.Close() }()
	return process.Run(ctx, zap.NewNop(), served("simulator", sim, out))
}

// runPublisher is the publisher as production puts it together, with its admin handler on a port of its own. Each line of
// its standard input sets its clock: by how much it is ahead.
func runPublisher(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error {
	flags := flag.NewFlagSet("torture publisher", flag.ContinueOnError)
	ahead := flags.Duration("ahead", 0, "by how much its clock is ahead")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := crash.Arm(getenv); err != nil {
		return err
	}
	clock := &setClock{}
	clock.set(*ahead)
	ctx, cancel := clock.obey(ctx, os.Stdin)
	defer cancel()
	log, err := process.Logger(getenv("LOG_LEVEL"), getenv("LOG_FORMAT"))
	if err != nil {
		return err
	}
	s, err := boot.PublisherBy(clock.now)(ctx, getenv, log)
	if err != nil {
		return err
	}
	return process.Run(ctx, log, s.Part, served("admin", process.AdminHandler(s.Ready), out))
}

// served is a part that serves HTTP on any free port, and says where on its first line of output.
func served(name string, h http.Handler, out io.Writer) process.Part {
	return process.Part{Name: name, StopWithin: 5 * time.Second, Run: func(ctx context.Context) error {
		var listen net.ListenConfig
		l, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute}
		stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
		defer stop()
		if _, err := fmt.Fprintln(out, "http://"+l.Addr().String()); err != nil {
			return err
		}
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}}
}

// logOf opens the log of a process, which goes on in the same file after a restart.
func (h *house) logOf(name string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(h.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", name, err)
	}
	return f, nil
}
