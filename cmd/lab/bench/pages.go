package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/omni-write/threads/cmd/lab/rig"
)

// Page is how long a page of the console took to come whole.
type Page struct {
	Path string `json:"path"`
	Answers
	Within bool `json:"within"` // half of them came within pageTarget
}

const (
	// pageTarget is how long the HTML of a page may take.
	pageTarget = 50 * time.Millisecond
	// pagesAsked is how often each page is asked for, one after the other.
	pagesAsked = 100
)

// consolePages are those whose content comes from our own tables; what a page asks Threads for depends on Threads.
var consolePages = []string{"/", "/compose", "/posts", "/posts?show=all", "/calendar", "/developers", "/settings"}

// pages asks for the pages of the console, as people who are signed in.
func (e *env) pages(ctx context.Context, d *apiClient) ([]Page, error) {
	auth, err := e.StartPart(ctx, e.logOf(rig.PartAuth), e.Env( // whose accounts these are
		"THREADS_APP_ID=1", "THREADS_APP_SECRET=nobody-connects", "THREADS_REDIRECT_URI="+d.url+"/api/auth/threads/callback"), rig.PartAuth)
	if err != nil {
		return nil, err
	}
	defer auth.Stop()
	if err := d.await(ctx, auth); err != nil {
		return nil, err
	}
	var all []Page
	for _, path := range consolePages {
		took := make([]float64, 0, pagesAsked)
		for n := range pagesAsked {
			t, err := d.page(ctx, n, path)
			if err != nil {
				return nil, err
			}
			took = append(took, float64(t)/float64(time.Millisecond))
		}
		answers := answersOf(took)
		all = append(all, Page{Path: path, Answers: answers, Within: answers.P50 <= float64(pageTarget/time.Millisecond)})
	}
	return all, nil
}

// page asks for a page as the owner of an account.
func (d *apiClient) page(ctx context.Context, account int, path string) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+"/console"+path, http.NoBody)
	if err != nil {
		return 0, err
	}
	req.AddCookie(&http.Cookie{Name: "console_session", Value: d.tokens[account%len(d.tokens)]}) //nolint:gosec // of a request, which has no attributes
	began := time.Now()
	resp, err := d.client.Transport.RoundTrip(req) // a client would follow the way to the sign-in
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, err
	}
	took := time.Since(began)
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("the page %s was answered with %s", path, resp.Status)
	}
	return took, nil
}

func printPages(p printer, pages []Page) {
	p.line("Pages of the console, whole; half of them within %s is the target", pageTarget)
	for _, page := range pages {
		word := "over it"
		if page.Within {
			word = "within it"
		}
		p.row(page.Path, ms(page.P50), fmt.Sprintf("p90 %s, p99 %s; %s", ms(page.P90), ms(page.P99), word))
	}
}
