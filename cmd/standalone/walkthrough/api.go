package walkthrough

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
)

// api calls the gateway as a frontend would.
type api struct {
	base  string
	token string
}

// do sends a request and decodes its answer into out. Anything but 2xx is an error with the problem's own words.
func (a *api) do(ctx context.Context, method, path string, body, out any) (status int, err error) {
	var payload io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, err
		}
		payload = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, payload)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return 0, err
	}
	if resp.StatusCode/100 != 2 {
		return resp.StatusCode, fmt.Errorf("%s %s answered %s: %s", method, path, resp.Status, answer)
	}
	if out == nil {
		return resp.StatusCode, nil
	}
	return resp.StatusCode, json.Unmarshal(answer, out)
}

// Browse does what a person does with a browser: opens the address, reads Threads' page, presses Allow, and is sent back.
// It returns the address at which the OAuth flow ends.
func Browse(ctx context.Context, address string) (end string, err error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	form := url.Values(nil)
	for range 8 {
		at, err := url.Parse(address)
		if err != nil {
			return "", err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if form != nil {
			req, err = http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if err != nil {
			return "", err
		}
		resp, err := browser.Do(req)
		if err != nil {
			return "", err
		}
		page, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		_ = resp.Body.Close()
		if err != nil {
			return "", err
		}
		switch {
		case resp.StatusCode/100 == 3:
			next, err := at.Parse(resp.Header.Get("Location"))
			if err != nil {
				return "", err
			}
			address, form = next.String(), nil
			if strings.HasSuffix(at.Path, "/callback") {
				return address, nil // the frontend's page; there is none here
			}
		case resp.StatusCode == http.StatusOK && form == nil:
			action, fields := allow(string(page))
			next, err := at.Parse(action)
			if err != nil || fields == nil {
				return "", errors.New("the page has no Allow button")
			}
			address, form = next.String(), fields
		default:
			return "", fmt.Errorf("%s answered %s: %s", at.Path, resp.Status, page)
		}
	}
	return "", errors.New("the redirects do not end")
}

var (
	formTag  = regexp.MustCompile(`<form[^>]*action="([^"]*)"`)
	inputTag = regexp.MustCompile(`<input[^>]*name="([^"]*)"[^>]*value="([^"]*)"[^>]*>`)
	allowTag = regexp.MustCompile(`<button[^>]*name="([^"]*)"[^>]*value="(allow)"`)
)

// allow is what pressing Allow sends.
func allow(page string) (action string, fields url.Values) {
	form, button := formTag.FindStringSubmatch(page), allowTag.FindStringSubmatch(page)
	if form == nil || button == nil {
		return "", nil
	}
	fields = url.Values{button[1]: {button[2]}}
	for _, in := range inputTag.FindAllStringSubmatch(page, -1) {
		choice := strings.Contains(in[0], `type="checkbox"`) || strings.Contains(in[0], `type="radio"`)
		if choice && !strings.Contains(in[0], " checked") {
			continue // as a browser leaves it out
		}
		fields.Add(html.UnescapeString(in[1]), html.UnescapeString(in[2]))
	}
	return html.UnescapeString(form[1]), fields
}
