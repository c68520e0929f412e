package test

import (
	"bufio"
	"fmt"
	"maps"
	"net/url"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/cmd/ops"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/auth"
	"github.com/omni-write/threads/services/gateway"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/tokenkeeper"
)

// composeFile is what the tests look at in compose.yaml.
type composeFile struct {
	Services map[string]composeService
	Configs  map[string]struct{ File string }
	Secrets  map[string]struct{ File string }
	Networks map[string]struct{ Internal bool }
}

type composeService struct {
	Image       string
	Build       map[string]string
	User        string
	Command     []string
	Profiles    []string
	Ports       []string
	Secrets     []string
	Environment map[string]string
	Networks    any
	Volumes     []string
	Tmpfs       []string
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	CapAdd      []string `yaml:"cap_add"`
	Privileged  bool
	SecurityOpt []string `yaml:"security_opt"`
	EnvFile     any      `yaml:"env_file"`
	Restart     string
	MemLimit    string `yaml:"mem_limit"`
	PidsLimit   int    `yaml:"pids_limit"`
	Logging     struct {
		Driver  string
		Options map[string]string
	}
	Healthcheck struct {
		Test    []string
		Disable bool
	}
	DependsOn map[string]struct{ Condition string } `yaml:"depends_on"`
}

// readCompose reads compose.yaml with variables put in as compose does.
func readCompose(t *testing.T, getenv func(string) string) composeFile {
	t.Helper()
	text, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c composeFile
	if err := yaml.Unmarshal([]byte(interpolate(t, string(text), getenv)), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

var variable = regexp.MustCompile(`\$\{([A-Z0-9_]+)(?:(:-|:\?)([^}]*))?\}`)

func interpolate(t *testing.T, text string, getenv func(string) string) string {
	t.Helper()
	if bare := regexp.MustCompile(`\$[^{]`).FindString(text); bare != "" {
		t.Fatalf("%q: write variables as ${NAME:-default} or ${NAME:?sentence}", bare)
	}
	return variable.ReplaceAllStringFunc(text, func(found string) string {
		parts := variable.FindStringSubmatch(found)
		value := getenv(parts[1])
		switch {
		case value != "":
			return value
		case parts[2] == ":-":
			return parts[3]
		case parts[2] == ":?":
			t.Fatalf("%s: %s", parts[1], parts[3])
		default:
			t.Fatalf("%s says neither what it is without a value nor that it must have one", found)
		}
		return ""
	})
}

// filled is an .env as somebody fills it in.
func filled(name string) string {
	return map[string]string{
		"THREADS_APP_ID": "1234567890123457", "AUTH_ISSUER": "https://issuer.example.com", "AUTH_AUDIENCE": "threads",
		"THREADS_REDIRECT_URI":         "http://localhost:3000/api/auth/threads/callback",
		"THREADS_SUCCESS_REDIRECT_URI": "http://localhost:5173/profile", "THREADS_FAILURE_REDIRECT_URI": "http://localhost:5173/profile?error=x",
	}[name]
}

func (s composeService) networks() []string {
	switch n := s.Networks.(type) {
	case []any:
		var names []string
		for _, name := range n {
			names = append(names, fmt.Sprint(name))
		}
		return names
	case map[string]any:
		return slices.Collect(maps.Keys(n))
	}
	return nil
}

func TestComposeIsHardened(t *testing.T) {
	t.Parallel()
	c := readCompose(t, filled)
	if len(c.Services) < 10 {
		t.Fatalf("found only %d services", len(c.Services))
	}
	pinned := regexp.MustCompile(`^[a-z0-9./-]+:[a-z0-9.-]*[0-9][a-z0-9.-]*(@sha256:[0-9a-f]{64})?$`)
	for name, s := range c.Services {
		complain := func(format string, args ...any) { t.Errorf("%s: "+format, append([]any{name}, args...)...) }
		if s.Build == nil && !pinned.MatchString(s.Image) {
			complain("image %q is of no particular version", s.Image)
		}
		if user, _, _ := strings.Cut(s.User, ":"); user == "" || user == "0" || user == "root" {
			complain("runs as root")
		}
		if !s.ReadOnly {
			complain("may write to its image")
		}
		if !slices.Equal(s.CapDrop, []string{"ALL"}) || s.CapAdd != nil || s.Privileged {
			complain("keeps capabilities")
		}
		if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			complain("may gain privileges")
		}
		if s.EnvFile != nil {
			complain("gets a whole env file, where it should get what it needs")
		}
		once := slices.Contains([]string{"migrate", "ops"}, name) // they end by themselves
		if once != s.Healthcheck.Disable || !once && len(s.Healthcheck.Test) < 2 {
			complain("health check: %+v", s.Healthcheck)
		}
		switch {
		case name == "gateway":
		case slices.Equal(s.Profiles, []string{"simulator"}):
			if len(s.Ports) != 1 || !strings.HasPrefix(s.Ports[0], "127.0.0.1:") {
				complain("is for this machine alone, not for %v", s.Ports)
			}
		case s.Ports != nil:
			complain("can be reached from outside: %v", s.Ports)
		}
		for _, secret := range s.Secrets {
			if c.Secrets[secret].File == "" {
				complain("secret %s is not declared", secret)
			}
		}
		for _, n := range s.networks() {
			if _, ok := c.Networks[n]; !ok {
				complain("network %s is not declared", n)
			}
		}
		if len(s.networks()) == 0 {
			complain("is on the network of everybody")
		}
		for key, value := range s.Environment {
			if file, ok := strings.CutPrefix(value, "/run/secrets/"); ok != strings.HasSuffix(key, "_FILE") || ok && !slices.Contains(s.Secrets, file) {
				complain("%s: %s is no secret that it has", key, value)
			}
			if regexp.MustCompile(`PASSWORD|SECRET|KEYSET|TOKEN`).MatchString(strings.TrimPrefix(key, "TOKENKEEPER_")) && !strings.HasSuffix(key, "_FILE") {
				complain("%s is in the environment, where everybody sees it", key)
			}
			if strings.Contains(value, "@") && regexp.MustCompile(`://[^/]*:[^/]*@`).MatchString(value) {
				complain("%s has a password in it", key)
			}
		}
	}
	gateway := c.Services["gateway"]
	if slices.Contains(gateway.networks(), "store") || !slices.Equal(gateway.Secrets, []string{"nats_password_gateway"}) {
		t.Errorf("the gateway reaches the database, or has a secret: %v, %v", gateway.networks(), gateway.Secrets)
	}
	for _, inner := range []string{"bus", "store"} {
		if !c.Networks[inner].Internal {
			t.Errorf("network %s leads outside", inner)
		}
	}
	for _, line := range readLines(t, "Dockerfile") {
		if image, ok := strings.CutPrefix(line, "FROM "); ok {
			if image, _, _ = strings.Cut(image, " AS "); !pinned.MatchString(image) && !regexp.MustCompile(`-debian12:nonroot(@sha256:[0-9a-f]{64})?$`).MatchString(image) {
				t.Errorf("the Dockerfile builds on %q, of no particular version", image)
			}
		}
	}
}

// What runs wild ends itself, and not the machine: its memory, its processes, its log.
func TestComposeBoundsEveryContainer(t *testing.T) {
	t.Parallel()
	for name, s := range readCompose(t, filled).Services {
		memory := size(t, s.MemLimit)
		if memory < 256<<20 || memory > 4<<30 {
			t.Errorf("%s may have %q of memory", name, s.MemLimit)
		}
		if s.PidsLimit < 100 || s.PidsLimit > 4096 {
			t.Errorf("%s may have %d processes", name, s.PidsLimit)
		}
		if s.Logging.Driver != "json-file" || s.Logging.Options["max-size"] == "" || s.Logging.Options["max-file"] == "" {
			t.Errorf("%s may fill the disk with its log: %+v", name, s.Logging)
		}
		limit := s.Environment["GOMEMLIMIT"]
		ours := s.Image == "omni-write-threads" // which reads the container's limit itself
		if size(t, limit) > memory/10*9 || limit == "" && !ours && name != "postgres" {
			t.Errorf("%s collects its garbage at %q, its container ends it at %s", name, limit, s.MemLimit)
		}
	}
}

// size reads a number of bytes as compose and Go write them; 0: it is none.
func size(t *testing.T, text string) (bytes int64) {
	t.Helper()
	parts := regexp.MustCompile(`^([0-9]+)(g|m|GiB|MiB)$`).FindStringSubmatch(text)
	if parts == nil {
		return 0
	}
	bytes, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return bytes << map[string]int{"g": 30, "GiB": 30, "m": 20, "MiB": 20}[parts[2]]
}

// The health check of NATS must say what every client finds: a stream that cannot store keeps its server from being well. And
// the tools look at what there is; they change nothing on the way.
func TestComposeLooksAndTouchesNothing(t *testing.T) {
	t.Parallel()
	c := readCompose(t, filled)
	for _, name := range []string{"nats", "nats-2", "nats-3"} {
		address, err := url.Parse(c.Services[name].Healthcheck.Test[len(c.Services[name].Healthcheck.Test)-1])
		if err != nil || address.Path != "/healthz" || address.RawQuery != "" {
			t.Errorf("%s is asked %v", name, c.Services[name].Healthcheck.Test)
		}
	}
	if on := c.Services["ops"].DependsOn; len(on) > 0 {
		t.Errorf("the tools start %v first", on)
	}
}

// `up` waits for what must end first. It would wait for ever for what is started again for ever.
func TestComposeEnds(t *testing.T) {
	t.Parallel()
	c := readCompose(t, filled)
	awaited := 0
	for name, s := range c.Services {
		for other, on := range s.DependsOn {
			if on.Condition != "service_completed_successfully" {
				continue
			}
			awaited++
			if restart := c.Services[other].Restart; !regexp.MustCompile(`^(no|on-failure:[1-9])$`).MatchString(restart) {
				t.Errorf("%s waits until %s has ended, which is restarted %q", name, other, restart)
			}
		}
	}
	if awaited < 4 {
		t.Errorf("found only %d that wait", awaited)
	}
}

// settings are the names that a service's configurations read.
func settings(configs ...any) map[string]bool {
	names := map[string]bool{}
	var read func(reflect.Type)
	read = func(config reflect.Type) {
		for _, f := range reflect.VisibleFields(config) {
			if name, _, _ := strings.Cut(f.Tag.Get("env"), ","); name != "" {
				names[name] = true
			} else if f.Type.Kind() == reflect.Struct && f.IsExported() {
				read(f.Type)
			}
		}
	}
	for _, c := range configs {
		read(reflect.TypeOf(c))
	}
	return names
}

func TestComposeSetsWhatTheServicesRead(t *testing.T) {
	t.Parallel()
	common := boot.Common{}
	reads := map[string]map[string]bool{
		"gateway": settings(common, gateway.Config{}), "auth": settings(common, auth.Config{}), "publisher": settings(common, publisher.Config{}),
		"tokenkeeper": settings(common, tokenkeeper.Config{}), "migrate": settings(common), "simulator": settings(common), "issuer": settings(common),
		"ops": settings(common, gateway.Config{}, auth.Config{}, publisher.Config{}, tokenkeeper.Config{}),
	}
	c := readCompose(t, filled)
	for name, known := range reads {
		if len(c.Services[name].Environment) == 0 {
			t.Errorf("%s: no environment", name)
		}
		for key := range c.Services[name].Environment {
			if !known[key] && !known[strings.TrimSuffix(key, "_FILE")] {
				t.Errorf("%s does not read %s", name, key)
			}
		}
	}

	// And the other way round: whatever a service can be told can be said in .env, or is a secret, or is settled by compose.
	settled := map[string]bool{
		"HOST": true, "NATS_USER": true, "OTEL_SERVICE_NAME": true, // each service's own
		"NATS_CREDS_FILE": true, "NATS_NKEY_FILE": true, "NATS_CA_FILE": true, "NATS_CERT_FILE": true, "NATS_KEY_FILE": true, // other ways to say who we are
		"DATABASE_URL": true, "DATABASE_PASSWORD": true, "DATABASE_CONNS": true, "DATABASE_SIDE_CONNS": true, "TOKEN_KEYSET": true, // not for all
		"NATS_REPLICAS": true, "EVENTS_MAX_AGE": true, // of migrate and doctor
		"DATABASE_ROLES_DIR": true, // migrate's own
	}
	for name, known := range reads {
		if name == "simulator" || name == "issuer" {
			continue
		}
		environment := c.Services[name].Environment
		for key := range known {
			_, plain := environment[key]
			_, secret := environment[key+"_FILE"]
			if !plain && !secret && !settled[key] && !(name == "ops" && (key == "PORT" || strings.HasPrefix(key, "THREADS_WEBHOOK_"))) {
				t.Errorf("%s cannot be told %s", name, key)
			}
		}
	}
	for name, keys := range map[string][]string{
		"migrate": {"NATS_REPLICAS", "EVENTS_MAX_AGE"}, "auth": {"DATABASE_CONNS"}, "tokenkeeper": {"DATABASE_CONNS"}, "publisher": {"DATABASE_CONNS", "DATABASE_SIDE_CONNS"},
	} {
		for _, key := range keys {
			if _, ok := c.Services[name].Environment[key]; !ok {
				t.Errorf("%s cannot be told %s", name, key)
			}
		}
	}

	// Every variable of compose.yaml is in .env.example, and everything there is a variable of compose.yaml.
	used := map[string]bool{}
	for _, found := range variable.FindAllStringSubmatch(strings.Join(readLines(t, "compose.yaml"), "\n"), -1) {
		used[found[1]] = true
	}
	example := map[string]bool{}
	for _, line := range readLines(t, ".env.example") {
		if found := regexp.MustCompile(`^(?:# )?([A-Z][A-Z0-9_]+)=`).FindStringSubmatch(line); found != nil {
			example[found[1]] = true
		}
	}
	for name := range used {
		if !example[name] {
			t.Errorf("compose.yaml uses %s, which .env.example does not have", name)
		}
	}
	for name := range example {
		if !used[name] {
			t.Errorf(".env.example has %s, which compose.yaml does not use", name)
		}
	}
}

func readLines(t *testing.T, file string) (lines []string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for s := bufio.NewScanner(f); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines
}

// `secrets` makes every file that compose.yaml names, keeps what is there, and lets the containers read it.
func TestSecretsAreThoseOfCompose(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/secrets"
	var said strings.Builder
	if err := ops.Secrets(dir, &said); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("others may look into the directory: %v, %v", info.Mode(), err)
	}
	contents := map[string]string{}
	for name, secret := range readCompose(t, filled).Secrets {
		file := dir + strings.TrimPrefix(secret.File, "./secrets")
		content, err := os.ReadFile(file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o004 == 0 {
			t.Errorf("%s cannot be read by the user of a container", name)
		}
		contents[file] = string(content)
		if strings.Contains(said.String(), strings.TrimSpace(string(content))) && len(content) > 1 {
			t.Errorf("%s is printed", name)
		}
	}
	for _, u := range bus.Users() {
		password, err := os.ReadFile(dir + "/nats_password_" + u.Name)
		if err != nil || !strings.Contains(contents[dir+"/nats_passwords"], strings.TrimSpace(string(password))) {
			t.Errorf("the server does not know the password of %s: %v", u.Name, err)
		}
	}
	if err := os.WriteFile(dir+"/nats_password_ops", []byte("changed\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ops.Secrets(dir, &said); err != nil {
		t.Fatal(err)
	}
	for file, before := range contents {
		after, err := os.ReadFile(file)
		switch {
		case err != nil:
			t.Error(err)
		case strings.HasSuffix(file, "/nats_passwords"):
			if !strings.Contains(string(after), `"changed"`) {
				t.Error("the server does not know the new password of ops")
			}
		case !strings.HasSuffix(file, "_ops") && string(after) != before:
			t.Errorf("%s was made anew", file)
		}
	}
}
