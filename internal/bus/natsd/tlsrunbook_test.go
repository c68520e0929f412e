package natsd_test

import (
	"encoding/json"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// runbookTLS is what docs/operations.md has under TLS: NATS' file, the line that starts NATS, and compose's file.
func runbookTLS(t *testing.T) (conf, start, compose string) {
	t.Helper()
	page, err := os.ReadFile("../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(string(page), "**TLS.**")
	part, _, _ = strings.Cut(part, "\n## ")
	blocks := map[string]string{}
	for _, b := range regexp.MustCompile("(?s)```([a-z]+)\n(.*?)```").FindAllStringSubmatch(part, -1) {
		blocks[b[1]] = b[2]
	}
	conf, start, compose = blocks["text"], strings.TrimSpace(blocks["sh"]), blocks["yaml"]
	if conf == "" || start == "" || compose == "" {
		t.Fatalf("docs/operations.md does not show TLS whole:\n%s", part)
	}
	return conf, start, compose
}

// natsServer is the program, made from the module whose server the other tests run.
func natsServer(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "nats-server")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/nats-io/nats-server/v2")
	build.Env = append(os.Environ(), "GOFLAGS=") // ours may ask for the race detector
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build nats-server: %v\n%s", err, out)
	}
	return program
}

// startIn starts the server in a directory as the runbook does, at ports that are free, and says where clients find it.
func startIn(t *testing.T, dir, program, line string) (address string) {
	t.Helper()
	words := strings.Fields(line)
	if words[0] != "nats-server" {
		t.Fatalf("%q does not start NATS", line)
	}
	ports := t.TempDir()
	run := exec.CommandContext(t.Context(), program, slices.Concat(words[1:], []string{"-a", "127.0.0.1", "-p", "-1", "-m", "-1", "--ports_file_dir", ports, "-l", "server.log"})...)
	run.Dir = dir
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = run.Wait() // it ends with the test, killed
	}()
	t.Cleanup(func() { <-ended })
	var found struct {
		Clients []string `json:"nats"`
	}
	waiting.Until(t, "NATS to say where it is", func() bool {
		select {
		case <-ended:
			said, _ := os.ReadFile(filepath.Join(dir, "server.log"))
			t.Fatalf("%s has ended:\n%s", line, said)
		default:
		}
		files, _ := filepath.Glob(filepath.Join(ports, "*.ports"))
		if len(files) == 0 {
			return false
		}
		content, err := os.ReadFile(files[0])
		return err == nil && json.Unmarshal(content, &found) == nil && len(found.Clients) > 0
	})
	u, err := url.Parse(found.Clients[0])
	if err != nil {
		t.Fatal(err)
	}
	return "tls://" + net.JoinHostPort("127.0.0.1", u.Port())
}

// The words of docs/operations.md, in a directory of somebody who has no containers: the program, the configuration as it is
// shipped, the file that is shown, and certificates under the names that are said.
func TestTLSAsTheRunbookHasIt(t *testing.T) {
	t.Parallel()
	conf, start, _ := runbookTLS(t)
	program := natsServer(t)
	mutual := regexp.MustCompile(`(?m)^  # (ca_file|verify): `).ReplaceAllString(conf, "  $1: ")
	if mutual == conf {
		t.Fatal("it does not show how clients are asked for a certificate")
	}
	for name, content := range map[string]string{"the server's certificate": conf, "both certificates": mutual} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			authority, dir := newAuthority(t), secretsFor(t, nil, "")
			cert, key := authority.pair("server")
			mine, myKey := authority.pair("client")
			for to, from := range map[string]string{
				"nats.conf": "nats.conf", "secrets/nats_cert": cert, "secrets/nats_key": key, "secrets/nats_ca": authority.file,
			} {
				bytes, err := os.ReadFile(from)
				if err == nil {
					err = os.WriteFile(filepath.Join(dir, to), bytes, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(dir, "tls.conf"), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			bustest.WritePasswords(t, dir)

			at := startIn(t, dir, program, start)
			as := func(user string, who bus.Identity) (*bus.Bus, error) {
				who.Password = bustest.PasswordFor(user)
				b, err := bus.Connect(t.Context(), bus.Config{URL: at, Name: user, Identity: who})
				if err == nil {
					t.Cleanup(func() { b.JetStream().Conn().Close() })
				}
				return b, err
			}
			known := bus.Identity{CA: filepath.Join(dir, "secrets", "nats_ca")}
			if content == mutual {
				if _, err := as("gateway", known); err == nil || !strings.Contains(err.Error(), "NATS_CERT_FILE and NATS_KEY_FILE") {
					t.Errorf("without a certificate: %v", err)
				}
				known.Cert, known.Key = mine, myKey
			}
			if _, err := as("gateway", bus.Identity{}); err == nil || !strings.Contains(err.Error(), "NATS_CA_FILE") {
				t.Errorf("without the authority: %v", err)
			}
			migrate, err := as(bus.UserMigrate, known)
			if err != nil {
				t.Fatal(err)
			}
			if err := bus.Declare(t.Context(), migrate, bus.Topology{}); err != nil {
				t.Fatal(err)
			}
			auth, err := as("auth", known)
			if err != nil {
				t.Fatal(err)
			}
			if err := auth.Emit(t.Context(), events.NewAccountConnected(events.Connection{ID: "acct_1"})); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(dir, "data", "jetstream")); err != nil {
				t.Errorf("the streams are elsewhere: %v", err)
			}
		})
	}
}

// What compose.yaml starts finds the same files: from the directory of the configuration, with every service knowing the authority.
func TestTLSInComposeAsTheRunbookHasIt(t *testing.T) {
	t.Parallel()
	conf, _, override := runbookTLS(t)
	type file struct {
		Services map[string]struct {
			Command     []string
			WorkingDir  string `yaml:"working_dir"`
			Volumes     []string
			Environment map[string]string
			Secrets     []string
			Configs     []struct{ Source, Target string }
		}
		Configs, Secrets map[string]struct{ File string }
	}
	var ours, more file
	text, err := os.ReadFile("../../../compose.yaml")
	if err == nil {
		err = yaml.Unmarshal(text, &ours)
	}
	if err == nil {
		err = yaml.Unmarshal([]byte(override), &more)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range ours.Services {
		if s.Environment["NATS_PASSWORD_FILE"] == "" {
			continue
		}
		ca := more.Services[name].Environment["NATS_CA_FILE"]
		if secret := filepath.Base(ca); filepath.Dir(ca) != "/run/secrets" || !slices.Contains(more.Services[name].Secrets, secret) || more.Secrets[secret].File == "" {
			t.Errorf("%s does not know the authority: %q of %v", name, ca, more.Services[name].Secrets)
		}
	}
	for _, name := range []string{"nats", "nats-2", "nats-3"} {
		command := strings.Join(ours.Services[name].Command, " ")
		if ours.Services[name].WorkingDir != "/run" || !strings.HasSuffix(command, " --store_dir /data") || !slices.Contains(ours.Services[name].Volumes, name+":/data") {
			t.Errorf("%s runs %q in %q with %v", name, command, ours.Services[name].WorkingDir, ours.Services[name].Volumes)
		}
	}
	if c := more.Services["nats"].Configs; len(c) != 1 || c[0].Target != "/run/tls.conf" || more.Configs[c[0].Source].File != "./tls.conf" {
		t.Errorf("NATS does not find tls.conf: %+v", c)
	}
	for _, named := range regexp.MustCompile(`_file: "secrets/([a-z_]+)"`).FindAllStringSubmatch(conf, -1) {
		if !slices.Contains(more.Services["nats"].Secrets, named[1]) || more.Secrets[named[1]].File != "./secrets/"+named[1] {
			t.Errorf("NATS does not find %s", named[1])
		}
	}
}

// A file of ours names nothing by an absolute path: it runs where it is put.
func TestTheConfigurationsRunAnywhere(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"nats.conf", "cluster.conf"} {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if found := regexp.MustCompile(`(?m)^[^#\n]*[\s"']/[a-z].*$`).FindString(string(content)); found != "" {
			t.Errorf("%s names a place of one machine: %s", name, found)
		}
	}
}
