package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/omni-write/threads/internal/progress"
)

// relay hands requests for a repository on to it, and sees what the library that downloads does not say: how large the answer
// is, how far it has come, what went wrong, and whether there was a checksum to hold it against.
type relay struct {
	address string // of this machine, to ask instead
	close   func()

	mu    sync.Mutex
	cause error
	sum   bool
}

func relayTo(ctx context.Context, repository, dir string, log *zap.Logger) (*relay, error) {
	to, err := url.Parse(repository)
	if err != nil {
		return nil, fmt.Errorf("read the address of the repository: %w", err)
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("watch the download: %w", err)
	}
	r := &relay{address: "http://" + l.Addr().String()}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, // with the repository's own name, which it is known by
		ModifyResponse: func(resp *http.Response) error {
			switch sum := strings.HasSuffix(resp.Request.URL.Path, ".sha256"); {
			case resp.StatusCode != http.StatusOK:
				r.failed(fmt.Errorf("%s answered %s for %s", to.Host, resp.Status, path.Base(resp.Request.URL.Path)))
			case sum:
				r.mu.Lock()
				defer r.mu.Unlock()
				r.sum = true
			default:
				size := "unknown"
				if resp.ContentLength > 0 {
					size = progress.Size(resp.ContentLength)
				}
				log.Warn("no postgres found, so one is downloaded, once", zap.String("version", string(downloadVersion)),
					zap.String("size", size), zap.String("from", to.Host), zap.String("to", dir))
				task := progress.Start(ctx, "downloading Postgres "+string(downloadVersion), "bytes", resp.ContentLength)
				resp.Body = &counted{ReadCloser: resp.Body, task: task}
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			r.failed(fmt.Errorf("%s cannot be reached: %w", to.Host, err))
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	server := &http.Server{Handler: proxy, ReadHeaderTimeout: 5 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	go func() { _ = server.Serve(l) }()
	r.close = func() { _ = server.Close() }
	return r, nil
}

func (r *relay) failed(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cause == nil {
		r.cause = cause
	}
}

// verdict is what was wrong with the repository's answers. What came without a checksum is not used.
func (r *relay) verdict() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cause == nil && !r.sum {
		return errors.New("the download was not whole")
	}
	return r.cause
}

// counted is an answer whose bytes are counted.
type counted struct {
	io.ReadCloser

	task *progress.Task
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.task.Add(int64(n))
	return n, err
}

func (c *counted) Close() error {
	c.task.Stop()
	return c.ReadCloser.Close()
}
