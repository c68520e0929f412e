package console

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// problem is what the API says when something is wrong (RFC 9457).
type problem struct {
	Title     string       `json:"title"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail"`
	Code      string       `json:"code"`
	Instance  string       `json:"instance"`
	RequestID string       `json:"requestId"`
	Errors    []fieldError `json:"errors"`

	retryAfter string
}

// fieldError is what is wrong with one field.
type fieldError struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
	Code    string `json:"code"`
}

// Error makes problem an error.
func (p *problem) Error() string { return p.Code + ": " + p.Detail }

// words is what to say of it.
func (p *problem) words() string { return cmp.Or(p.Detail, p.Title) }

// asProblem is the problem that an error is, or nil.
func asProblem(err error) *problem {
	var p *problem
	if errors.As(err, &p) {
		return p
	}
	return nil
}

// answer keeps what the API answers.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

// request is a request to the API in the person's name, from where the person is.
func (v *visit) request(method, path string, body []byte) *http.Request {
	req, err := http.NewRequestWithContext(v.Context(), method, path, bytes.NewReader(body)) //nolint:gosec // it goes to our own handler, over no network
	if err != nil {                                                                          // not with addresses that we made
		req, _ = http.NewRequestWithContext(v.Context(), http.MethodGet, "/", http.NoBody)
	}
	req.RemoteAddr, req.Host, req.RequestURI = v.RemoteAddr, v.Host, path
	if at := v.Header.Values("X-Forwarded-For"); len(at) > 0 {
		req.Header["X-Forwarded-For"] = at
	}
	req.Header.Set("Authorization", "Bearer "+v.token)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "console")
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	} else {
		req.Body = http.NoBody
		req.ContentLength = 0
	}
	return req
}

// do asks the API and decodes what it answers. Its error is a problem.
func (v *visit) do(method, path string, in, out any, headers ...string) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	req := v.request(method, path, body)
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] != "" {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	a := &answer{header: http.Header{}}
	v.c.API.ServeHTTP(a, req)
	if a.status/100 != 2 {
		p := &problem{Status: a.status, Title: "Something went wrong", retryAfter: a.header.Get("Retry-After")}
		if err := json.Unmarshal(a.body.Bytes(), p); err != nil {
			return &problem{Status: http.StatusBadGateway, Title: "Something went wrong", Detail: "The API did not answer as it should. Please try again in a moment."}
		}
		return p
	}
	if out == nil {
		return nil
	}
	err := json.NewDecoder(&a.body).Decode(out)
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (v *visit) get(path string, out any) error { return v.do(http.MethodGet, path, nil, out) }
