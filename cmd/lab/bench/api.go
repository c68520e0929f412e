package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/omni-write/threads/cmd/lab/rig"
	"github.com/omni-write/threads/cmd/standalone/issuer"
	"github.com/omni-write/threads/internal/clock"
	"github.com/omni-write/threads/internal/subprocess"
)

// APIFigure is how fast the HTTP API takes posts for later and lists them: one request each, through HTTP, the check of
// the bearer token, JetStream and Postgres.
type APIFigure struct {
	Clients int     `json:"clients"`
	Seconds float64 `json:"seconds"`
	// Full is with all clients asking one after the other as fast as they are answered; Half at half that rate, whatever the
	// answers do.
	Full ScheduleRun `json:"full"`
	Half ScheduleRun `json:"half"`
	// BarePerSecond are synced JetStream publishes measured right before; OfBare is Full by it.
	BarePerSecond float64 `json:"barePerSecond"`
	OfBare        float64 `json:"ofBarePublishes"`
	// Rows is how many posts the table has while lists are asked for; List are the lists of 50.
	Rows     int      `json:"rows"`
	List     Answers  `json:"list"`
	Pages    []Page   `json:"pages"`
	Failures []string `json:"failures"`
}

// ScheduleRun are schedule calls and what they did.
type ScheduleRun struct {
	Answers
	PerSecond float64 `json:"perSecond"`
}

// Answers are how long answers took, in milliseconds.
type Answers struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50Ms"`
	P90   float64 `json:"p90Ms"`
	P99   float64 `json:"p99Ms"`
	Max   float64 `json:"maxMs"`
}

func answersOf(ms []float64) Answers {
	if len(ms) == 0 {
		return Answers{}
	}
	slices.Sort(ms)
	return Answers{Count: len(ms), P50: quantile(ms, 0.5), P90: quantile(ms, 0.9), P99: quantile(ms, 0.99), Max: ms[len(ms)-1]}
}

// apiClients is how many clients ask at the same time.
const apiClients = 64

// apiClient asks the gateway of a run, with the bearer tokens of those who ask.
type apiClient struct {
	url    string
	client *http.Client
	tokens []string // by account
	stop   func()
}

// openGateway starts a gateway in a process of its own, and an issuer of tokens for it.
func (e *env) openGateway(ctx context.Context) (_ *apiClient, err error) {
	iss, closeIssuer, err := rig.ServeIssuer()
	if err != nil {
		return nil, err
	}
	port, err := rig.FreePort(ctx)
	if err != nil {
		closeIssuer()
		return nil, err
	}
	base := "http://127.0.0.1:" + strconv.Itoa(port)
	env := []string{
		"HOST=127.0.0.1", "PORT=" + strconv.Itoa(port), "PUBLIC_URL=" + base, "AUTH_ISSUER=" + iss.URL(), "AUTH_JWKS_URL=",
		"AUTH_AUDIENCE=", "AUTH_AUTHORIZED_PARTIES=", "CORS_ORIGINS=",
		"THREADS_SUCCESS_REDIRECT_URI=" + base + "/ok", "THREADS_FAILURE_REDIRECT_URI=" + base + "/failed",
		"CONSOLE_CLIENT_ID=" + issuer.Client,
		"RATE_LIMIT_READS_PER_MINUTE=0", "RATE_LIMIT_WRITES_PER_MINUTE=0", // the bench is one address and a few users
	}
	gateway, err := e.StartPart(ctx, e.logOf(rig.PartGateway), e.Env(env...), rig.PartGateway)
	if err != nil {
		closeIssuer()
		return nil, err
	}
	e.gateway = gateway
	d := &apiClient{
		url: base, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * apiClients}},
		stop: func() { e.gateway = nil; gateway.Stop(); closeIssuer() },
	}
	for _, a := range e.accounts {
		token, err := iss.Token(a.UserID, time.Hour)
		if err != nil {
			d.stop()
			return nil, err
		}
		d.tokens = append(d.tokens, token)
	}
	return d, d.await(ctx, gateway)
}

func (d *apiClient) await(ctx context.Context, part *subprocess.Process) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if part.Ready(ctx) == nil {
			return nil
		}
		if !clock.Sleep(ctx, 20*time.Millisecond) {
			d.stop()
			return errors.New("a part of the API did not become ready")
		}
	}
}

// do asks as the owner of an account, and says how long the answer took.
func (d *apiClient) do(ctx context.Context, account int, method, path string, body []byte, want int) (time.Duration, error) {
	took, _, err := d.ask(ctx, account, method, path, body, want)
	return took, err
}

// ask is do with the answer.
func (d *apiClient) ask(
	ctx context.Context, account int, method, path string, body []byte, want int,
) (took time.Duration, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, d.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+d.tokens[account%len(d.tokens)])
	req.Header.Set("Content-Type", "application/json")
	began := time.Now()
	resp, err := d.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	answer, err = io.ReadAll(resp.Body)
	took = time.Since(began)
	_ = resp.Body.Close()
	if err == nil && resp.StatusCode != want {
		err = fmt.Errorf("%s %s was answered with %s: %.300s", method, path, resp.Status, answer)
	}
	return took, answer, err
}

func (e *env) throughTheAPI(ctx context.Context) (*APIFigure, error) {
	d, err := e.openGateway(ctx)
	if err != nil {
		return nil, err
	}
	defer d.stop()
	length := e.o.apiFor()
	f := &APIFigure{Clients: apiClients, Seconds: length.Seconds(), Failures: []string{}}
	e.say("api: bare JetStream publishes")
	var bare Baseline
	if err := e.bareStream(ctx, &bare); err != nil {
		return nil, err
	}
	f.BarePerSecond = bare.SinglesPerSecond
	e.say("api: scheduling with %d clients for %s", apiClients, length)
	profiles, profiling := errgroup.WithContext(ctx)
	if e.o.profile != "" {
		profiles.Go(func() error { return e.profileAll(profiling, "api", time.Now()) })
	}
	before, err := e.count(ctx)
	if err != nil {
		return nil, err
	}
	if f.Full, err = e.closedLoop(ctx, d, length); err != nil {
		return nil, err
	}
	if err := profiles.Wait(); err != nil {
		return nil, err
	}
	f.OfBare = f.Full.PerSecond / f.BarePerSecond
	rate := f.Full.PerSecond / 2
	e.say("api: %.0f a second; now at %.0f a second", f.Full.PerSecond, rate)
	if f.Half, err = e.openLoop(ctx, d, length, rate); err != nil {
		return nil, err
	}
	after, err := e.count(ctx)
	if err != nil {
		return nil, err
	}
	if answered := f.Full.Count + f.Half.Count; after-before != answered {
		f.Failures = append(f.Failures, fmt.Sprintf("%d schedule calls were answered with 201, and the table grew by %d posts", answered, after-before))
	}
	e.say("api: writing %d posts, to list among them", e.o.scheduled)
	if err := e.fill(ctx, e.o.scheduled); err != nil {
		return nil, err
	}
	if f.Rows, err = e.count(ctx); err != nil {
		return nil, err
	}
	if f.List, err = e.lists(ctx, d); err != nil {
		return nil, err
	}
	f.Pages, err = e.pages(ctx, d)
	return f, err
}

// handIn schedules posts through the API, apiClients at a time: the i-th no sooner than startOf says, from when its time counts, or
// where that is nil as soon as a client is free. It says how long the answers took and how many there were a second.
func (e *env) handIn(
	ctx context.Context, d *apiClient, posts []planned, startOf func(i int) time.Time,
) (answers Answers, perSecond float64, err error) {
	accountOf := make(map[string]int, len(e.accounts))
	for i, a := range e.accounts {
		accountOf[a.ID] = i
	}
	took := make([]float64, len(posts))
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for range apiClients {
		g.Go(func() error {
			for i := int(next.Add(1)) - 1; i < len(posts); i = int(next.Add(1)) - 1 {
				p := posts[i]
				body, err := json.Marshal(map[string]string{"text": p.text, "scheduledAt": p.due.UTC().Format(time.RFC3339Nano)})
				if err != nil {
					return err
				}
				from := time.Now()
				if startOf != nil {
					from = startOf(i)
					if err := sleepUntil(ctx, from); err != nil {
						return err
					}
				}
				_, answer, err := d.ask(ctx, accountOf[p.account], http.MethodPost, schedulePath, body, http.StatusCreated)
				if err != nil {
					return err
				}
				took[i] = float64(time.Since(from)) / float64(time.Millisecond)
				var accepted struct {
					ID string `json:"id"`
				}
				if err := json.Unmarshal(answer, &accepted); err != nil {
					return err
				}
				posts[i].id = accepted.ID // the gateway gives posts their ids
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return Answers{}, 0, fmt.Errorf("hand in posts over HTTP: %w", err)
	}
	return answersOf(took), float64(len(posts)) / time.Since(began).Seconds(), nil
}

func (e *env) count(ctx context.Context) (int, error) {
	n, err := e.DB.NewSelect().Table("posts").Count(ctx)
	if err != nil {
		return 0, fmt.Errorf("count the posts: %w", err)
	}
	return int(n), nil
}

// draft is the body of a schedule call: a text for some hour of the next thirty days.
func draft(rng *rand.Rand, n int) []byte {
	at := time.Now().Add(24*time.Hour + time.Duration(rng.Int64N(int64(29*24*time.Hour)))).UTC().Truncate(time.Second)
	body, _ := json.Marshal(map[string]string{ // strings always encode
		"text": text(rng, "api", n, at), "scheduledAt": at.Format(time.RFC3339),
	})
	return body
}

const schedulePath = "/api/threads/post/schedule"

// closedLoop has every client ask again as soon as it is answered.
func (e *env) closedLoop(ctx context.Context, d *apiClient, length time.Duration) (run ScheduleRun, err error) {
	var mu sync.Mutex
	var took []float64
	g, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for client := range apiClients {
		g.Go(func() error {
			rng := rand.New(rand.NewPCG(e.o.seed, uint64(client))) //nolint:gosec // a load, no secret
			var mine []float64
			for n := 0; time.Since(began) < length; n++ {
				t, err := d.do(ctx, client+n*apiClients, http.MethodPost, schedulePath, draft(rng, n), http.StatusCreated)
				if err != nil {
					return err
				}
				mine = append(mine, float64(t)/float64(time.Millisecond))
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, mine...)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return run, fmt.Errorf("schedule: %w", err)
	}
	run.PerSecond = float64(len(took)) / time.Since(began).Seconds()
	run.Answers = answersOf(took)
	return run, nil
}

// openLoop asks at a steady rate, and counts the time from when a request was due: one that waits for those before it
// waits in the figure too.
func (e *env) openLoop(ctx context.Context, d *apiClient, length time.Duration, rate float64) (run ScheduleRun, err error) {
	gap := time.Duration(float64(time.Second) / rate)
	total := int(length / gap)
	took := make([]float64, total)
	g, ctx := errgroup.WithContext(ctx)
	began := time.Now().Add(50 * time.Millisecond)
	for client := range apiClients {
		g.Go(func() error {
			rng := rand.New(rand.NewPCG(e.o.seed+1, uint64(client))) //nolint:gosec // a load, no secret
			for n := client; n < total; n += apiClients {
				due := began.Add(time.Duration(n) * gap)
				body := draft(rng, n)
				if err := sleepUntil(ctx, due); err != nil {
					return err
				}
				if _, err := d.do(ctx, n, http.MethodPost, schedulePath, body, http.StatusCreated); err != nil {
					return err
				}
				took[n] = float64(time.Since(due)) / float64(time.Millisecond)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return run, fmt.Errorf("schedule at %.0f a second: %w", rate, err)
	}
	run.PerSecond = float64(total) / time.Since(began).Seconds()
	run.Answers = answersOf(took)
	return run, nil
}

// listsAsked is how many lists of 50 are asked for, one after the other.
const listsAsked = 400

// lists asks for pages of 50, the first, with a filter, and further in.
func (e *env) lists(ctx context.Context, d *apiClient) (Answers, error) {
	var took []float64
	for n := range listsAsked {
		path := "/api/threads/posts?limit=50"
		if n%2 == 1 {
			path += "&status=QUEUED"
		}
		t, err := d.do(ctx, n, http.MethodGet, path, nil, http.StatusOK)
		if err != nil {
			return Answers{}, fmt.Errorf("list: %w", err)
		}
		took = append(took, float64(t)/float64(time.Millisecond))
	}
	return answersOf(took), nil
}

func (f *APIFigure) print(p printer) {
	p.line("")
	p.line("HTTP API: schedule calls, one post each, %d clients for %.0f s", f.Clients, f.Seconds)
	p.row("scheduled", perSecond(f.Full.PerSecond), fmt.Sprintf("%.2f × bare synced publishes (%s)", f.OfBare, perSecond(f.BarePerSecond)))
	p.row("p50, p90, p99", ms(f.Full.P50), fmt.Sprintf("%s, %s", ms(f.Full.P90), ms(f.Full.P99)))
	p.row("at half that rate", perSecond(f.Half.PerSecond), "")
	p.row("p50, p90, p99", ms(f.Half.P50), fmt.Sprintf("%s, %s", ms(f.Half.P90), ms(f.Half.P99)))
	p.line("List of 50 from %d posts", f.Rows)
	p.row("p50, p90, p99", ms(f.List.P50), fmt.Sprintf("%s, %s", ms(f.List.P90), ms(f.List.P99)))
	printPages(p, f.Pages)
}
