package standalone_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// browser is one that keeps cookies and follows no redirect by itself.
type browser struct {
	h      *system
	client *http.Client
	pages  string // the origin of the pages
}

func (h *system) browser() *browser {
	h.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.Fatal(err)
	}
	at, err := url.Parse(h.System.Endpoints.ConnectURL)
	if err != nil {
		h.Fatal(err)
	}
	return &browser{
		h: h, pages: "http://" + at.Host,
		client: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// open opens an address and returns where it leads, or what it shows.
func (b *browser) open(method, address, form string, header ...string) (to, shown string, status int) {
	b.h.Helper()
	req, err := http.NewRequestWithContext(b.h.Context(), method, address, strings.NewReader(form))
	if err != nil {
		b.h.Fatal(err)
	}
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.h.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.h.Fatal(err)
	}
	return resp.Header.Get("Location"), string(body), resp.StatusCode
}

// until follows redirects up to an address that begins with prefix.
func (b *browser) until(prefix, address string) string {
	b.h.Helper()
	for range 8 {
		to, shown, status := b.open(http.MethodGet, address, "")
		if to == "" {
			b.h.Fatalf("%s leads nowhere: %d %s", address, status, shown)
		}
		if address = to; strings.HasPrefix(address, prefix) {
			return address
		}
	}
	b.h.Fatal("the redirects do not end")
	return ""
}

// At home a person begins on a page of ours, presses Allow, and is told on a page of ours that the account is connected, and how
// to go on; the page may be loaded again.
func TestConnectAtHome(t *testing.T) {
	h := newSystem(t)
	b := h.browser()
	end := b.until(b.pages+"/connected?connectCode=", h.System.Endpoints.ConnectURL+"?as=user_7")
	to, shown, status := b.open(http.MethodGet, end, "")
	if status != http.StatusSeeOther || !strings.HasPrefix(to, "/connected?account=acct_") {
		t.Fatalf("it ends with %d, %s: %s", status, to, shown)
	}
	for range 2 {
		_, shown, status = b.open(http.MethodGet, b.pages+to, "")
		for _, words := range []string{"@demo.user is connected", "Now try", "sub=user_7", "/api/threads/post/schedule", "/docs"} {
			if status != http.StatusOK || !strings.Contains(shown, words) {
				t.Errorf("%d, without %q: %s", status, words, shown)
			}
		}
	}
	var all []struct{ Username string }
	h.must(http.StatusOK, "user_7", http.MethodGet, "/api/threads/connections", nil, &all)
	if len(all) != 1 || all[0].Username != "demo.user" {
		t.Errorf("connected are %v", all)
	}
}

// A flow that began elsewhere, as by curl with a token, ends with whoever began: the page asks who that is.
func TestConnectBegunElsewhere(t *testing.T) {
	h := newSystem(t)
	b := h.browser()
	var begun struct{ AuthorizationURL string }
	h.must(http.StatusOK, "ada", http.MethodGet, "/api/auth/threads", nil, &begun)
	end := b.until(b.pages+"/connected?connectCode=", begun.AuthorizationURL)
	_, shown, status := b.open(http.MethodGet, end, "")
	if status != http.StatusOK || !strings.Contains(shown, "Who began?") {
		t.Fatalf("%d %s", status, shown)
	}
	at, err := url.Parse(end)
	if err != nil {
		t.Fatal(err)
	}
	answer := url.Values{"code": {at.Query().Get("connectCode")}, "user": {"ada"}}.Encode()
	if _, _, status := b.open(http.MethodPost, b.pages+"/connected", answer, "Sec-Fetch-Site", "cross-site"); status != http.StatusForbidden {
		t.Errorf("another site's answer: %d", status)
	}
	to, shown, status := b.open(http.MethodPost, b.pages+"/connected", answer, "Sec-Fetch-Site", "same-origin")
	if status != http.StatusSeeOther || !strings.HasPrefix(to, "/connected?account=acct_") {
		t.Fatalf("%d %s %s", status, to, shown)
	}
	if _, shown, _ := b.open(http.MethodGet, b.pages+to, ""); !strings.Contains(shown, "@demo.user is connected") {
		t.Error(shown)
	}
	// The code is used up.
	if _, shown, _ := b.open(http.MethodPost, b.pages+"/connected", answer, "Sec-Fetch-Site", "same-origin"); !strings.Contains(shown, "Not connected") {
		t.Error(shown)
	}
}

func TestConnectPagesForOthers(t *testing.T) {
	h := newSystem(t)
	b := h.browser()
	if to, _, status := b.open(http.MethodGet, h.System.Endpoints.ConnectURL, "", "Sec-Fetch-Site", "cross-site"); status != http.StatusForbidden || to != "" {
		t.Errorf("another site begins: %d, %s", status, to)
	}
	_, shown, _ := b.open(http.MethodGet, b.pages+"/connected?error=x&reason="+url.QueryEscape("<script>alert(1)</script>"), "")
	if !strings.Contains(shown, "Not connected") || strings.Contains(shown, "<script>alert") {
		t.Errorf("a failure: %s", shown)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.pages+"/connect", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "rebound.example"
	resp, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("by another name: %s", resp.Status)
	}
}
