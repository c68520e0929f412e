package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/cmd/lab/rig"
)

// profileFor is how long a profile runs, from the due second.
const profileFor = 4 * time.Second

// profileAll writes a CPU profile of each process of ours over some seconds: publisher, gateway, target, and this one, whose clients
// they serve.
func (e *env) profileAll(ctx context.Context, run string, due time.Time) error {
	if err := sleepUntil(ctx, due); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	write := func(name string, fill func(io.Writer) error) {
		g.Go(func() error {
			file, err := os.Create(filepath.Join(e.o.profile, run+"-"+name+".pprof"))
			if err != nil {
				return err
			}
			if err := fill(file); err != nil {
				_ = file.Close()
				return err
			}
			return file.Close()
		})
	}
	write("bench", func(w io.Writer) error { return rig.Profile(ctx, w, profileFor) })
	write("publisher", func(w io.Writer) error { return fetchProfile(ctx, e.publisher.URL, w) })
	if e.gateway != nil {
		write("gateway", func(w io.Writer) error { return fetchProfile(ctx, e.gateway.URL, w) })
	}
	if e.target != nil {
		write("target", func(w io.Writer) error { return fetchProfile(ctx, e.target.URL, w) })
	}
	return g.Wait()
}

func fetchProfile(ctx context.Context, url string, w io.Writer) error {
	url = fmt.Sprintf("%s/profile?seconds=%d", url, int(profileFor.Seconds()))
	resp, err := request(ctx, http.MethodGet, url, "")
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, resp.Status)
	}
	_, err = io.Copy(w, resp.Body)
	return err
}
