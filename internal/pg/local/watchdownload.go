package local

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"github.com/omni-write/threads/internal/progress"
)

// watchDownload hands requests for a repository on to it, and shows how far the answers have come: the library that downloads
// says nothing of it. It returns an address of this machine to ask instead.
func watchDownload(ctx context.Context, repository string) (address string, stop func(), err error) {
	to, err := url.Parse(repository)
	if err != nil {
		return "", nil, fmt.Errorf("read the address of the repository: %w", err)
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("watch the download: %w", err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, // with the repository's own name, which it is known by
		ModifyResponse: func(resp *http.Response) error {
			if resp.StatusCode == http.StatusOK && resp.ContentLength > 1<<20 { // not the sums beside it
				task := progress.Start(ctx, "downloading Postgres "+string(downloadVersion), "bytes", resp.ContentLength).Every(2 * time.Second)
				resp.Body = &watched{ReadCloser: resp.Body, task: task}
			}
			return nil
		},
	}
	server := &http.Server{Handler: proxy, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(l) }()
	return "http://" + l.Addr().String(), func() { _ = server.Close() }, nil
}

// watched is an answer whose bytes are counted.
type watched struct {
	io.ReadCloser

	task *progress.Task
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.task.Add(int64(n))
	return n, err
}

func (w *watched) Close() error {
	w.task.Stop()
	return w.ReadCloser.Close()
}
