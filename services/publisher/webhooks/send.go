package webhooks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"code.dny.dev/ssrf"
)

// maxResponse is how much of an answer is read; none of it is kept.
const maxResponse = 64 << 10

// response is what came back from one attempt.
type response struct {
	status     int // 0: nothing was answered
	message    string
	retryAfter string
}

func (a response) ok() bool { return a.status >= 200 && a.status < 300 }

// send makes one attempt of a delivery. The owner reads what it returns, so that says nothing about our network.
func (s *Service) send(ctx context.Context, d *claimed, secrets []string) (response, error) {
	at := s.now()
	signature, err := sign(d.EventID, at, d.Payload, secrets...)
	if err != nil {
		return response{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URL, strings.NewReader(string(d.Payload)))
	if err != nil {
		return response{message: "The address cannot be called."}, nil
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "omni-write-threads-webhooks/1.0")
	req.Header.Set(headerID, d.EventID)
	req.Header.Set(headerTimestamp, fmt.Sprint(at.Unix()))
	req.Header.Set(headerSignature, signature)
	resp, err := s.client.Do(req)
	if err != nil {
		return response{message: explain(err)}, nil
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxResponse)) // read, so that the connection can be used again
	a := response{status: resp.StatusCode, retryAfter: resp.Header.Get("Retry-After")}
	switch {
	case a.ok() && err != nil:
		return response{status: 0, message: "The answer was cut off."}, nil
	case a.ok():
		a.message = "Delivered."
	case a.status >= 300 && a.status < 400:
		a.message = fmt.Sprintf("It answered %d; redirects are not followed, give the final address.", a.status)
	default:
		a.message = fmt.Sprintf("It answered %d.", a.status)
	}
	return a, nil
}

// explain says in a sentence why nothing was answered.
func explain(err error) string {
	var dns *net.DNSError
	switch {
	case errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, ssrf.ErrProhibitedPort),
		errors.Is(err, ssrf.ErrProhibitedNetwork), errors.Is(err, ssrf.ErrInvalidHostPort):
		return "The name leads to an address that is not one of the public internet."
	case errors.As(err, &dns):
		return "The name was not found."
	case isTimeout(err):
		return "It did not answer in time."
	case strings.Contains(err.Error(), "tls: "), strings.Contains(err.Error(), "x509: "),
		strings.Contains(err.Error(), "HTTP response to HTTPS"):
		return "There was no secure connection; check the certificate."
	}
	return "The connection failed."
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
