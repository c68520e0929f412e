package test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/subprocess"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

const eventsPage = "docs/events.md"

// block is a fenced part of a page. It is known by what it begins with.
type block struct {
	page, begins string
	by           string // the test that runs it, or holds it against what it changes
}

// blocks are all blocks of two pages. One that is not here fails, so that whoever writes one says what runs it. None needs an engine for
// containers: where a page has docker's words, a stand-in of that test reads them.
var blocks = []block{
	{operationsPage, "include nats.conf", "TestTLSAsTheRunbookHasIt"},
	{operationsPage, "nats-server -n nats-1", "TestTLSAsTheRunbookHasIt"},
	{operationsPage, "x-tls: &tls", "TestTLSInComposeAsTheRunbookHasIt"},
	{operationsPage, backUp, "TestBothStoresAreRestored"},
	{operationsPage, backUpInCompose, "TestBothStoresAreRestored"},
	{operationsPage, restore, "TestBothStoresAreRestored"},
	{operationsPage, opsCommands, "TestOpsCommandsOfNATS"},
	{operationsPage, "scrape_configs:", "TestScrapeConfiguration"},
	{eventsPage, goExample, "TestEventsExample"},
	{eventsPage, guestCommands, "TestEventsCommands"},
	{eventsPage, joinBus, "TestJoiningTheBusFromCompose"},
	{eventsPage, openPort, "TestJoiningTheBusFromCompose"},
	{eventsPage, "npm install @asyncapi/parser", "TestPublicParserReadsTheDocument"},
}

const (
	asBackup        = "export NATS_URL=nats://127.0.0.1:4222 NATS_USER=backup NATS_PASSWORD=\"$(cat secrets/nats_password_backup)\"\n"
	backUp          = asBackup + "mkdir"
	backUpInCompose = "docker run --rm --network"
	restore         = asBackup + "pg_restore"

	opsCommands   = "export NATS_URL=nats://127.0.0.1:4222 NATS_USER=ops"
	guestCommands = "export NATS_URL=nats://nats:4222 NATS_USER=subscriber"
	goExample     = "import ("
	joinBus       = "services:\n  mailer:"
	openPort      = "services:\n  nats:"
)

var fence = regexp.MustCompile("(?ms)^([ ]*)```([a-z]*)\n(.*?)^[ ]*```$")

// fenced are the blocks of a page, without their indentation.
func fenced(t *testing.T, page string) (texts []string) {
	t.Helper()
	for _, m := range fence.FindAllStringSubmatch(fileOf(t, page), -1) {
		texts = append(texts, strings.ReplaceAll("\n"+m[3], "\n"+m[1], "\n")[1:])
	}
	return texts
}

// theBlock is the one block of a page that begins so.
func theBlock(t *testing.T, page, begins string) string {
	t.Helper()
	var found []string
	for _, text := range fenced(t, page) {
		if strings.HasPrefix(text, begins) {
			found = append(found, text)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s has %d blocks that begin with %q", page, len(found), begins)
	}
	return found[0]
}

// Each block of commands or configuration is tried by a test.
func TestEveryBlockIsTried(t *testing.T) {
	t.Parallel()
	var sources strings.Builder
	for _, pattern := range []string{"test/*_test.go", "internal/bus/natsd/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			sources.WriteString(fileOf(t, file))
		}
	}
	for _, b := range blocks {
		theBlock(t, b.page, b.begins)
		if !strings.Contains(sources.String(), "\nfunc "+b.by+"(t *testing.T) {") {
			t.Errorf("%s is to run a block of %s, and there is no such test", b.by, b.page)
		}
	}
	for _, page := range []string{operationsPage, eventsPage} {
		texts := fenced(t, page)
		if fences := strings.Count(fileOf(t, page), "```"); fences != 2*len(texts) {
			t.Errorf("%s has %d fences, of which %d blocks were read", page, fences, len(texts))
		}
		for _, text := range texts {
			if !slices.ContainsFunc(blocks, func(b block) bool { return b.page == page && strings.HasPrefix(text, b.begins) }) {
				t.Errorf("no test tries this block of %s:\n%s", page, text)
			}
		}
	}
}

// confStreams is NATS with the configuration as it is shipped and all its streams, in a directory that has its secrets.
type confStreams struct {
	bustest.ConfServer
	dir string
}

func newConfStreams(t *testing.T) confStreams {
	t.Helper()
	dir := t.TempDir()
	s := confStreams{bustest.ServeConfIn(t, dir, "internal/bus/natsd/nats.conf", nil), dir}
	if err := bus.Declare(t.Context(), s.As(t, bus.UserMigrate), bus.Topology{}); err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{bus.UserOps, bus.UserSubscriber} {
		if err := os.WriteFile(filepath.Join(dir, "secrets", "nats_password_"+user), []byte(bustest.PasswordFor(user)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// publish emits that a post is live.
func (s confStreams) publish(t *testing.T, publisher *bus.Bus, id string) {
	t.Helper()
	if err := publisher.Emit(t.Context(), events.NewPostEvent(events.FactPublished, events.Post{ID: id, AccountID: "acct_1", UserID: "user_1", Rev: 1})); err != nil {
		t.Fatal(err)
	}
}

// bash is a script that runs beside NATS.
func (s confStreams) bash(ctx context.Context, cli, script string) *exec.Cmd {
	run := exec.CommandContext(ctx, "bash", "-euc", script)
	run.Dir, run.WaitDelay = s.dir, time.Second
	run.Env = []string{"PATH=" + cli + ":" + os.Getenv("PATH"), "HOME=" + s.dir}
	return run
}

// The commands for NATS' CLI, as another team types them.
func TestEventsCommands(t *testing.T) {
	t.Parallel()
	lines := strings.Split(strings.TrimSpace(theBlock(t, eventsPage, guestCommands)), "\n")
	cli, s := natsCLI(t), newConfStreams(t)
	publisher := s.As(t, "publisher")
	s.publish(t, publisher, "post_first")
	lines[0] = strings.ReplaceAll(lines[0], "nats://nats:4222", s.URL)
	if len(lines) != 6 {
		t.Fatalf("the page has %d lines", len(lines))
	}
	for i, want := range []string{"post_first", "post_later", "mail-published", "post_first", ""} {
		line := lines[i+1]
		if want == "post_later" || strings.Contains(line, " sub ") { // it ends when it is told to
			ctx, stop := context.WithCancel(t.Context())
			run, said := s.bash(ctx, cli, lines[0]+"\nexec "+line), new(subprocess.Output)
			run.Stdout, run.Stderr = said, said
			if err := run.Start(); err != nil {
				t.Fatal(err)
			}
			n := 0
			waiting.Until(t, line+" shows "+want, func() bool {
				if strings.Contains(line, "--new") {
					n++
					s.publish(t, publisher, fmt.Sprintf("post_later_%d", n))
				}
				return strings.Contains(said.String(), want)
			})
			stop()
			_ = run.Wait()
			continue
		}
		if out, err := s.bash(t.Context(), cli, lines[0]+"\n"+line).CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, without %q:\n%s", line, err, want, out)
		}
	}
	older := strings.Replace(lines[3], "nats ", "nats --js-api-prefix threads.js ", 1)
	if out, err := s.bash(t.Context(), cli, lines[0]+"\n"+older).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", older, err, out)
	}
	if _, err := s.As(t, bus.UserOps).JetStream().Consumer(t.Context(), events.StreamEvents, "mail-published"); err == nil {
		t.Error("the guest's durable is on the services' own stream")
	}
}

// What the table of alerts tells an operator to look at.
func TestOpsCommandsOfNATS(t *testing.T) {
	t.Parallel()
	script := theBlock(t, operationsPage, opsCommands)
	cli, s := natsCLI(t), newConfStreams(t)
	s.publish(t, s.As(t, "publisher"), "post_first")
	out, err := s.bash(t.Context(), cli, strings.ReplaceAll(script, "nats://127.0.0.1:4222", s.URL)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{events.StreamTokenAlarms, "threads.alarm.", "post_first"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it does not show %s:\n%s", want, out)
		}
	}
	for _, named := range regexp.MustCompile("`nats ((?:stream|consumer) [a-z]+)").FindAllStringSubmatch(fileOf(t, operationsPage), -1) {
		if !strings.Contains(script, " "+named[1]) {
			t.Errorf("%s says `nats %s` somewhere, which the block does not try", operationsPage, named[1])
		}
	}
}

// The Go of docs/events.md is a program once it has a function around it, and gets what it waits for.
func TestEventsExample(t *testing.T) {
	t.Parallel()
	imports, body, ok := strings.Cut(theBlock(t, eventsPage, goExample), "\n)\n")
	if !ok {
		t.Fatal("the example has no imports of its own")
	}
	s := newConfStreams(t)
	program := "package main\n\n" + strings.Replace(imports, "import (", "import (\n\t\"context\"\n\t\"fmt\"\n\t\"os\"", 1) + `
)

func sendMail(_ context.Context, user, where string) error {
	_, err := fmt.Println("mailed", user, where)
	return err
}

func main() {
	ctx, password := context.Background(), os.Args[1]
` + strings.ReplaceAll(body, "nats://nats:4222", s.URL) + `
	fmt.Println(err)
}
`
	dir := t.TempDir()
	file, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "mailer")
	if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, file)
	build.Env = append(os.Environ(), "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, program)
	}
	said := new(subprocess.Output)
	mailer, err := subprocess.Start(t.Context(), subprocess.Command{Program: binary, Words: []string{bustest.PasswordFor(bus.UserSubscriber)}, Out: said, Log: said})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(mailer.Kill)
	s.publish(t, s.As(t, "publisher"), "post_first")
	waiting.Until(t, "the mail", func() bool {
		if !mailer.Alive() {
			t.Fatalf("it has ended: %s", said.String())
		}
		return strings.Contains(said.String(), "mailed user_1 your profile")
	})
}

// Prometheus finds the services of compose.yaml at their admin addresses, and the alerts where they are.
func TestScrapeConfiguration(t *testing.T) {
	t.Parallel()
	text := theBlock(t, operationsPage, "scrape_configs:")
	var conf struct {
		Scrape []struct {
			Job    string                       `yaml:"job_name"`
			Static []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
		Rules []string `yaml:"rule_files"`
	}
	if err := yaml.Unmarshal([]byte(text), &conf); err != nil {
		t.Fatal(err)
	}
	services := readCompose(t, filled).Services
	for _, job := range conf.Scrape {
		for _, target := range job.Static[0].Targets {
			name, port, _ := strings.Cut(target, ":")
			if services[name].Environment["ADMIN_ADDR"] != ":"+port || !strings.HasSuffix(job.Job, "-"+name) {
				t.Errorf("%s looks for %s", job.Job, target)
			}
		}
	}
	if len(conf.Scrape) == 0 || len(conf.Rules) != 1 || !strings.Contains(fileOf(t, "docs/prometheus/"+conf.Rules[0]), "ThreadsServiceDown") {
		t.Errorf("it is %+v", conf)
	}
	if !strings.Contains(fileOf(t, "docs/prometheus/alerts.yaml"), "omni-write-") {
		t.Error("the alerts know the services by another name")
	}
}

// The description of the events in the public parser.
func TestPublicParserReadsTheDocument(t *testing.T) {
	t.Parallel()
	install, read, _ := strings.Cut(theBlock(t, eventsPage, "npm install @asyncapi/parser"), "\n")
	for _, tool := range []string{"node", "npm", "bash"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed; the public parser is not tried", tool)
		}
	}
	dir := t.TempDir()
	run := func(script string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "bash", "-euc", script)
		cmd.Dir, cmd.WaitDelay = dir, time.Second
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if err := os.CopyFS(filepath.Join(dir, "events"), os.DirFS("events")); err != nil {
		t.Fatal(err)
	}
	document := filepath.Join(dir, "events", "asyncapi.yaml")
	for name, content := range map[string]string{filepath.Join(dir, "package.json"): `{"private":true}`, document: fileOf(t, "events/asyncapi.yaml")} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := run(install + " --no-audit --no-fund --ignore-scripts --fetch-retries=1 --fetch-timeout=20000"); err != nil {
		t.Skipf("npm cannot install the parser here, so it is not tried: %v\n%s", err, out)
	}
	if out, err := run(read); err != nil || strings.TrimSpace(out) != "true []" {
		t.Errorf("it prints %s, %v", out, err)
	}
	if err := os.WriteFile(document, []byte(strings.Replace(fileOf(t, document), "channels:", "chanels:", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run(read); err == nil && strings.TrimSpace(out) == "true []" {
		t.Error("it reads a document that is none")
	}
}

// How the services of another team reach NATS, as far as files tell: the network that they join is the one on which NATS is, and leads
// nowhere; the port that is opened is the one on which NATS listens, on the network that leads outside, and no name of NATS is lost.
func TestJoiningTheBusFromCompose(t *testing.T) {
	t.Parallel()
	type file struct {
		Services map[string]struct {
			Networks any
			Ports    []string
		}
		Networks map[string]struct {
			External bool
			Name     string
			Internal bool
		}
	}
	read := func(text string) (f file) {
		if err := yaml.Unmarshal([]byte(text), &f); err != nil {
			t.Fatal(err)
		}
		return f
	}
	ours := read(interpolate(t, fileOf(t, "compose.yaml"), filled))
	joins, opens := read(theBlock(t, eventsPage, joinBus)), read(theBlock(t, eventsPage, openPort))

	names, _ := joins.Services["mailer"].Networks.([]any)
	joined := joins.Networks["threads-bus"]
	if !slices.Equal(names, []any{"default", "threads-bus"}) || !joined.External || !strings.HasSuffix(joined.Name, "_bus") {
		t.Errorf("the other project joins %v, %+v", names, joined)
	}
	if bus, ok := ours.Networks["bus"]; !ok || !bus.Internal || bus.Name != "" { // without a name of its own it is called after the project
		t.Errorf("the network that is joined is %+v", bus)
	}
	before, _ := ours.Services["nats"].Networks.(map[string]any)
	after, _ := opens.Services["nats"].Networks.(map[string]any)
	if fmt.Sprint(before["bus"]) != fmt.Sprint(after["bus"]) || len(before) != 1 {
		t.Errorf("on the bus NATS is %v, and with the port %v", before["bus"], after["bus"])
	}
	if _, there := after["outside"]; !there || ours.Networks["outside"].Internal {
		t.Errorf("the port is on %v", after)
	}
	if !slices.Equal(opens.Services["nats"].Ports, []string{"4222:4222"}) || !strings.Contains(fileOf(t, "internal/bus/natsd/nats.conf"), "\nport: 4222\n") {
		t.Errorf("NATS listens elsewhere than at %v", opens.Services["nats"].Ports)
	}
	if !strings.Contains(guestCommands, "nats://nats:4222") {
		t.Error("the commands look for NATS under another name than its service's")
	}
}
