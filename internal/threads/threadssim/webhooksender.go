package threadssim

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// The bounds of the sender.
const (
	maxPending    = 1000
	maxDeliveries = 1000
	callTimeout   = 5 * time.Second
)

// patience is how long a delivery that was not taken waits for its next attempt: at once, then ever longer, 36 hours in
// all.
var patience = []time.Duration{
	0, 10 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute,
	2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 15 * time.Hour,
}

// Outcomes of deliveries.
const (
	DeliveryWaiting = "waiting"
	DeliveryTaken   = "taken"
	DeliveryLost    = "lost"     // by the knob webhook_drop, or because too many were waiting
	DeliveryGivenUp = "given_up" // after the last attempt
)

// Delivery is one webhook on its way, and what came of it.
type Delivery struct {
	ID             int       `json:"id"`
	SubscriptionID string    `json:"subscription_id"`
	URL            string    `json:"url"`
	Field          string    `json:"field"`
	Body           string    `json:"body"`
	Outcome        string    `json:"outcome"`
	Due            time.Time `json:"due"`
	Attempts       []Attempt `json:"attempts"`
}

// Attempt is one try of a delivery. Status 0 is no answer.
type Attempt struct {
	At     time.Time `json:"at"`
	Status int       `json:"status"`
	Error  string    `json:"error,omitempty"`
}

// webhookSender brings webhooks to their addresses, one at a time. It has a lock of its own and never takes the store's.
type webhookSender struct {
	clock  *simClock
	secret string // signs what is sent

	mu      sync.Mutex
	seq     int
	log     []*Delivery // the latest, oldest first
	waiting []*Delivery
	wake    chan struct{}
	stop    context.CancelFunc
	stopped chan struct{}
	closed  bool
}

// appClient calls the app's addresses. It follows no redirect, because only the address itself was allowed.
var appClient = &http.Client{
	Timeout:       callTimeout,
	Transport:     &http.Transport{Proxy: nil, DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// send puts deliveries on their way.
func (p *webhookSender) send(list ...*Delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	for _, d := range list {
		p.seq++
		d.ID, d.Attempts = p.seq, []Attempt{}
		if d.Outcome == "" {
			d.Outcome = DeliveryWaiting
			if len(p.waiting) >= maxPending {
				d.Outcome = DeliveryLost
			} else {
				p.waiting = append(p.waiting, d)
			}
		}
		p.log = append(p.log, d)
	}
	p.log = p.log[max(len(p.log)-maxDeliveries, 0):]
	if p.stop == nil && len(p.waiting) > 0 {
		ctx, stop := context.WithCancel(context.Background())
		p.stop, p.stopped, p.wake = stop, make(chan struct{}), make(chan struct{}, 1)
		go p.deliver(ctx, p.stopped, p.wake)
	}
	p.nudge()
}

// nudge makes the sender look at the clock again. The caller holds the sender's lock.
func (p *webhookSender) nudge() {
	select {
	case p.wake <- struct{}{}:
	default: // it was told already, or there is no sender yet
	}
}

// clockMoved tells the sender that what was far may be due.
func (p *webhookSender) clockMoved() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nudge()
}

// deliver is the sender at work, until it is stopped.
func (p *webhookSender) deliver(ctx context.Context, stopped chan<- struct{}, wake <-chan struct{}) {
	defer close(stopped)
	for {
		d, wait := p.next(p.clock.now())
		if d == nil {
			timer := time.NewTimer(wait)
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-wake:
			case <-timer.C:
			}
			timer.Stop()
			continue
		}
		at := p.clock.now()
		tried := attempt(ctx, d.URL, d.Body, p.secret)
		if ctx.Err() != nil {
			return
		}
		tried.At = at
		p.tried(d, tried, p.clock.now())
	}
}

// next is the delivery that is due, or how long to wait. The wait is short, for the clock may be a made-up one.
func (p *webhookSender) next(now time.Time) (*Delivery, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait := time.Hour
	var first *Delivery
	for _, d := range p.waiting {
		if first == nil || d.Due.Before(first.Due) {
			first = d
		}
	}
	if first != nil {
		if wait = first.Due.Sub(now); wait <= 0 {
			return first, 0
		}
		wait = min(wait, time.Second)
	}
	return nil, wait
}

// tried writes down an attempt and decides about the next one.
func (p *webhookSender) tried(d *Delivery, a Attempt, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d.Attempts = append(d.Attempts, a)
	switch n := len(d.Attempts); {
	case a.Status == http.StatusOK:
		d.Outcome = DeliveryTaken
	case n > len(patience):
		d.Outcome = DeliveryGivenUp
	default:
		d.Due = now.Add(patience[n-1])
		return
	}
	p.waiting = slices.DeleteFunc(p.waiting, func(w *Delivery) bool { return w == d })
}

func attempt(ctx context.Context, to, body, secret string) Attempt {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(body))
	if err != nil {
		return Attempt{Error: err.Error()}
	}
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(body)) // never fails
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "facebookexternalua")
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	status, _, err := say(req)
	if err != nil {
		return Attempt{Error: err.Error()}
	}
	return Attempt{Status: status}
}

// say sends a request and reads the beginning of the answer.
func say(req *http.Request) (status int, body []byte, err error) {
	resp, err := appClient.Do(req) //nolint:gosec // the address was vetted
	if err != nil {
		return 0, nil, err
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if closing := resp.Body.Close(); err == nil {
		err = closing
	}
	return resp.StatusCode, bytes.TrimSpace(body), err
}

// clear forgets what is waiting and what was.
func (p *webhookSender) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.log, p.waiting = nil, nil
}

// close ends the sender and waits for it. What was waiting is not delivered.
func (p *webhookSender) close() {
	p.mu.Lock()
	p.closed = true
	stop, stopped := p.stop, p.stopped
	p.mu.Unlock()
	if stop != nil {
		stop()
		<-stopped
	}
}

// Deliveries are the latest webhooks, oldest first.
func (s *Sim) Deliveries() []Delivery { return s.sender.deliveries() }

func (p *webhookSender) deliveries() []Delivery {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]Delivery, 0, len(p.log))
	for _, d := range p.log {
		one := *d
		one.Attempts = slices.Clone(d.Attempts)
		all = append(all, one)
	}
	return all
}

// callbackHosts are the hosts, besides this machine, that may be told about events.
type callbackHosts []string

// vet refuses addresses that nobody vouched for: those of this machine and of the hosts in the options are fine.
func (h callbackHosts) vet(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("%.200q is not an http or https address", raw)
	}
	host := u.Hostname()
	ip := net.ParseIP(host)
	if strings.EqualFold(host, "localhost") || (ip != nil && ip.IsLoopback()) || slices.Contains(h, host) {
		return nil
	}
	return fmt.Errorf("%.200q is not on this machine, and %s is not among the simulator's callback hosts", raw, host)
}
