package test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/cmd/lab/rig"
	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/pg"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/subprocess"
	"github.com/omni-write/threads/internal/testkit/waiting"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// The system as compose.yaml runs it, without Docker: each service a process of its own with the environment and the
// secrets that compose.yaml gives it, and a NATS server with the very configuration, so each is its own user there.

// deployment is compose.yaml, running.
type deployment struct {
	*system // for its ways to call the API; its ports are the gateway's, the simulator's and the issuer's

	compose composeFile
	dir     string                         // the place of compose.yaml's ./secrets, and of NATS
	address *strings.Replacer              // the names of containers, as they are here
	admin   map[string]string              // where a service says whether it is ready
	running map[string]*subprocess.Process // by the service's name
	more    []string                       // settings of the services that start
}

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	d := &deployment{
		system: newProgram(t), dir: t.TempDir(), admin: map[string]string{}, running: map[string]*subprocess.Process{},
	}
	for _, name := range []string{"PORT", "SIMULATOR_PORT", "NATS_PORT"} {
		d.ports[name] = freePort(t)
	}
	d.serveIssuer()

	gateway := fmt.Sprintf("http://127.0.0.1:%d", d.ports["PORT"])
	env := map[string]string{ // what somebody writes into .env
		"AUTH_ISSUER": d.url("ISSUER_PORT"), "THREADS_APP_ID": threadssim.DefaultAppID, "THREADS_REDIRECT_URI": gateway + "/api/auth/threads/callback",
		"THREADS_SUCCESS_REDIRECT_URI": "http://localhost:5173/profile", "THREADS_FAILURE_REDIRECT_URI": "http://localhost:5173/profile?error=threads_oauth_failed",
		"THREADS_API_URL": d.url("SIMULATOR_PORT"), "THREADS_AUTHORIZE_URL": d.url("SIMULATOR_PORT") + "/oauth/authorize",
	}
	d.compose = readCompose(t, func(name string) string { return env[name] })

	// The secrets, and the one that is Postgres' own.
	if err := d.once("secrets", []string{"secrets", filepath.Join(d.dir, "secrets")}, nil); err != nil {
		t.Fatal(err)
	}
	database, err := url.Parse(pgtest.EmptyURL(t))
	if err != nil {
		t.Fatal(err)
	}
	password, _ := database.User.Password()
	if err := os.WriteFile(filepath.Join(d.dir, "secrets", "postgres_password"), []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	// Roles are of the whole cluster, which tests share: each deployment gives them the same password.
	for _, service := range pg.Roles() {
		if err := os.WriteFile(filepath.Join(d.dir, "secrets", "postgres_password_"+service), []byte(password), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	owner, at := database.User.Username(), strings.SplitN(database.String(), "@", 2)[1]
	d.address = strings.NewReplacer(
		"nats://nats:4222", fmt.Sprintf("nats://127.0.0.1:%d", d.ports["NATS_PORT"]),
		"postgres://app@postgres:5432/app?sslmode=disable", "postgres://"+owner+"@"+at,
		"@postgres:5432/app?sslmode=disable", "@"+at,
		"/run/secrets", filepath.Join(d.dir, "secrets"),
		"/data/simulator.journal", filepath.Join(d.dir, "simulator.journal"),
	)
	for name, config := range d.compose.Configs {
		content, err := os.ReadFile(config.File)
		if err == nil {
			err = os.WriteFile(filepath.Join(d.dir, name), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// environment is what compose.yaml gives a service, with the addresses of here.
func (d *deployment) environment(service string) []string {
	d.t.Helper()
	env := []string{} // and nothing of ours
	for key, value := range d.compose.Services[service].Environment {
		switch key {
		case "ADMIN_ADDR":
			if d.admin[service] == "" {
				d.admin[service] = "127.0.0.1:" + strconv.Itoa(freePort(d.t))
			}
			value = d.admin[service]
		case "PORT":
			value = strconv.Itoa(d.ports["PORT"])
		}
		env = append(env, key+"="+d.address.Replace(value))
	}
	return env
}

// once runs a command to its end. What it says goes to the log, and to out when that is not nil.
func (d *deployment) once(service string, words []string, out *bytes.Buffer) error {
	d.t.Helper()
	cmd := subprocess.Command{Words: words, Env: d.environment(service), Out: d.log, Log: d.log}
	if out != nil {
		cmd.Out = out
	}
	return subprocess.Run(d.t.Context(), cmd)
}

// start starts a service as compose.yaml says.
func (d *deployment) start(service string) {
	d.t.Helper()
	words := slices.Clone(d.compose.Services[service].Command)
	var env []string
	switch service {
	case "nats":
		words, env = []string{
			rig.Word, rig.PartNATS, "--config", filepath.Join(d.dir, "nats.conf"), "--dir", filepath.Join(d.dir, "data"), "--port", strconv.Itoa(d.ports["NATS_PORT"]),
		}, []string{}
	case "simulator":
		for i := range words {
			words[i] = d.address.Replace(words[i])
			if words[i] == ":9099" {
				words[i] = "127.0.0.1:" + strconv.Itoa(d.ports["SIMULATOR_PORT"])
			}
		}
		words = append(words, "--quick", "--auto-approve")
		fallthrough
	default:
		// compose.yaml sets every setting, to nothing where .env says nothing: what a test has shortened comes after it.
		env = slices.Concat(d.environment(service), shortWaits, d.more)
	}
	d.running[service] = d.child(subprocess.Command{Words: words, Env: env, Out: d.log, Log: d.log})
}

// ready waits until a service says that it may be relied on.
func (d *deployment) ready(service string) {
	d.t.Helper()
	if service == "nats" {
		d.eventually("NATS", func() error {
			c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(d.ports["NATS_PORT"]))
			if err == nil {
				_ = c.Close()
			}
			return err
		})
		return
	}
	d.eventually(service+" to be ready", func() error { // as the health check of its container
		var said bytes.Buffer
		if err := d.once(service, []string{"healthcheck"}, &said); err != nil {
			return fmt.Errorf("%w: %s", err, said.String())
		}
		return nil
	})
}

// kills is kill -9.
func (d *deployment) kills(service string) { d.running[service].Kill() }

// as is a connection to NATS as one of its users.
func (d *deployment) as(user string) *nats.Conn {
	d.t.Helper()
	password, err := os.ReadFile(filepath.Join(d.dir, "secrets", "nats_password_"+user))
	if err != nil {
		d.t.Fatal(err)
	}
	b, err := bus.Connect(d.t.Context(), bus.Config{
		URL: fmt.Sprintf("nats://127.0.0.1:%d", d.ports["NATS_PORT"]), Name: user,
		Identity: bus.Identity{Password: strings.TrimSpace(string(password))}, Log: bustest.Log(d.t),
	})
	if err != nil {
		d.t.Fatal(err)
	}
	nc := b.JetStream().Conn()
	d.t.Cleanup(nc.Close)
	return nc
}

// listen hears the live stream of the gateway until an event with this name comes.
func (d *deployment) listen(ctx context.Context, name string) <-chan error {
	heard := make(chan error, 1)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url("PORT")+"/api/threads/events", nil)
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+d.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		d.t.Fatalf("the live stream: %v, %v", resp, err)
	}
	go func() {
		defer func() { _ = resp.Body.Close() }()
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "event:") && strings.Contains(lines.Text(), name) {
				heard <- nil
				return
			}
		}
		heard <- fmt.Errorf("it ended: %w", lines.Err())
	}()
	return heard
}

func TestProcesses(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.start("nats")
	d.ready("nats")
	if err := d.once("migrate", d.compose.Services["migrate"].Command, nil); err != nil {
		t.Fatal(err)
	}
	services := []string{"gateway", "auth", "publisher", "tokenkeeper"}
	for _, name := range append([]string{"simulator"}, services...) {
		d.start(name)
	}
	for _, name := range append([]string{"simulator"}, services...) {
		d.ready(name)
	}
	d.connect()

	t.Log("one after the other: everything that goes over NATS")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	heard := d.listen(ctx, "post.published")
	first := d.schedule("as in a deployment", 2*time.Second)
	d.detail(first.ID, events.StatusPosted)
	select {
	case err := <-heard:
		if err != nil {
			t.Errorf("the live stream: %v", err)
		}
	case <-time.After(waiting.Limit):
		t.Error("the live stream did not tell of the post")
	}
	if status, err := d.ask(http.MethodPost, "/api/threads/refresh", "", map[string]any{}, nil); err != nil || status >= 500 || status == http.StatusAccepted {
		t.Errorf("refreshing is answered %d, %v", status, err) // 4xx: a token this young is not refreshed
	}
	opsJS, err := jetstream.New(d.as(bus.UserOps))
	if err != nil {
		t.Fatal(err)
	}
	d.eventually("an alarm for the token", func() error {
		s, err := opsJS.Stream(t.Context(), events.StreamTokenAlarms)
		if err != nil {
			return err
		}
		_, err = s.GetLastMsgForSubject(t.Context(), events.TokenAlarm(first.AccountID))
		return err
	})
	// What nobody can read is set aside, and the tools see it.
	if err := d.as("gateway").PublishMsg(&nats.Msg{Subject: "threads.cmd.post.schedule", Data: []byte("not JSON"), Header: nats.Header{
		events.HeaderID: {"cmd_unreadable"}, events.HeaderType: {events.SchedulePost{}.Type()},
	}}); err != nil {
		t.Fatal(err)
	}
	d.eventually("a dead letter", func() error {
		var out bytes.Buffer
		if err := d.once("ops", []string{"dead", "--json", "list"}, &out); err != nil || !strings.Contains(out.String(), "cmd_unreadable") {
			return fmt.Errorf("%w: %s", err, out.String())
		}
		return nil
	})
	var told bytes.Buffer
	if err := d.once("ops", []string{"replay", "--json", "--post", first.ID}, &told); err != nil || !strings.Contains(told.String(), "post.published.v1") {
		t.Errorf("ops replays: %v: %s", err, told.String())
	}

	t.Log("each killed and started again, while posts come and go")
	posts := d.underLoad(append(services, "nats"))

	t.Logf("what became of them, %d posts", len(posts))
	for _, p := range posts {
		d.detail(p.ID, events.StatusPosted)
	}
	arrived := map[string]int{}
	var live struct{ Data []threadssim.Post }
	d.call(http.MethodGet, d.url("SIMULATOR_PORT")+"/_sim/posts", nil, &live)
	for _, p := range live.Data {
		arrived[p.Text]++
	}
	published := d.published() // as another team sees it: in a copy of EVENTS, which follows after NATS was away
	waiting.Until(t, "the other team's copy has all of them", func() bool {
		published = d.published()
		return !slices.ContainsFunc(posts, func(p events.Post) bool { return published[p.ID] == 0 })
	})
	for _, p := range posts {
		if arrived[p.Text] != 1 || published[p.ID] != 1 {
			t.Errorf("%s (%s): on Threads %d times, told %d times", p.ID, p.Text, arrived[p.Text], published[p.ID])
		}
	}
	if len(live.Data) != len(posts)+1 {
		t.Errorf("Threads has %d posts, not %d", len(live.Data), len(posts)+1)
	}
	if status, err := d.ask(http.MethodDelete, "/api/threads/connection", "", nil, nil); err != nil || status != http.StatusOK {
		t.Errorf("disconnecting is answered %d, %v", status, err)
	}
	for line := range strings.Lines(d.log.String()) {
		if strings.Contains(strings.ToLower(line), "permissions violation") {
			t.Errorf("somebody may not do what they must: %s", line)
		}
	}
}

// underLoad schedules posts, a few a second, while one service after the other is killed and started again.
func (d *deployment) underLoad(victims []string) (posts []events.Post) {
	d.t.Helper()
	ctx, stop := context.WithCancel(d.t.Context())
	var load sync.WaitGroup
	load.Go(func() {
		every := time.NewTicker(200 * time.Millisecond)
		defer every.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			p := events.Post{ID: events.PostIDFor(crashUser, fmt.Sprintf("key %d", i)), Text: fmt.Sprintf("post %d under load", i)}
			body := map[string]any{"text": p.Text, "scheduledAt": time.Now().Add(2 * time.Second).UTC().Format(time.RFC3339Nano)}
			posts = append(posts, p)
			// Whoever gets no answer asks again, under the same key. The dead have given none, and meanwhile come 5xx.
			for until := time.Now().Add(d.patience); ; <-time.After(100 * time.Millisecond) {
				status, err := d.ask(http.MethodPost, "/api/threads/post/schedule", fmt.Sprintf("key %d", i), body, nil)
				if err == nil && (status == http.StatusCreated || status == http.StatusAccepted) {
					break
				}
				if time.Now().After(until) || err == nil && status < 500 && status != http.StatusConflict {
					d.t.Errorf("scheduling %s is answered %d, %v", p.Text, status, err)
					return
				}
			}
			<-every.C
		}
	})
	for _, name := range victims {
		<-time.After(700 * time.Millisecond) // of load, between two deaths
		d.kills(name)
		d.start(name)
		d.ready(name)
	}
	stop()
	load.Wait()
	if len(posts) < 10 {
		d.t.Errorf("that was no load: %d posts", len(posts))
	}
	return posts
}

// published counts the PostPublished of each post, read as another team does.
func (d *deployment) published() map[string]int {
	d.t.Helper()
	js, err := jetstream.NewWithAPIPrefix(d.as(bus.UserSubscriber), events.GuestAPI)
	if err != nil {
		d.t.Fatal(err)
	}
	consumer, err := js.OrderedConsumer(d.t.Context(), events.StreamEvents, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{events.PostFacts("*", "*", string(events.FactPublished))},
	})
	if err != nil {
		d.t.Fatal(err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		d.t.Fatal(err)
	}
	defer messages.Stop()
	counts := map[string]int{}
	for left := consumer.CachedInfo().NumPending; left > 0; {
		m, err := messages.Next(jetstream.NextMaxWait(waiting.Limit))
		if err != nil {
			d.t.Fatalf("%d facts did not come: %v", left, err)
		}
		var fact events.PostPublished
		if err := json.Unmarshal(m.Data(), &fact); err != nil {
			d.t.Fatal(err)
		}
		counts[fact.Snapshot().ID]++
		meta, err := m.Metadata()
		if err != nil {
			d.t.Fatal(err)
		}
		left = meta.NumPending
	}
	return counts
}
