package webhooks

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
)

// snippet is a block of docs/live.md, by the name in the comment before it.
func snippet(t *testing.T, name string) string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/live.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "<!-- test: "+name+" -->\n```")
	_, rest, opened := strings.Cut(rest, "\n")
	code, _, closed := strings.Cut(rest, "\n```")
	if !found || !opened || !closed {
		t.Fatalf("docs/live.md has no snippet %s", name)
	}
	return code + "\n"
}

// What the docs tell receivers to do takes what we send, and nothing else.
func TestSnippetsVerify(t *testing.T) {
	sys := setup(t)
	sys.run()
	rec := receive(t, nil)
	hook := ask[asks.Webhook](sys, asks.CreateWebhook{UserID: ada, URL: rec.URL})
	turned := ask[asks.Webhook](sys, asks.RotateWebhook{UserID: ada, ID: hook.ID})
	sys.emit(ada, acct, "verify é this", events.FactPublished)
	g := rec.next(t)

	type try struct {
		Secret  string            `json:"secret"`
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
		Good    bool              `json:"good"`
	}
	var tries []try
	add := func(good bool, secret string, change func(*try)) {
		one := try{Secret: secret, Headers: map[string]string{}, Body: string(g.body), Good: good}
		for name, values := range g.header {
			one.Headers[strings.ToLower(name)] = values[0]
		}
		if change != nil {
			change(&one)
		}
		tries = append(tries, one)
	}
	add(true, turned.Secret, nil)
	add(true, hook.Secret, nil) // the one before, for a day
	add(false, newSecret(), nil)
	add(false, turned.Secret, func(one *try) { one.Body += " " })
	add(false, turned.Secret, func(one *try) { one.Headers["webhook-id"] = "evt_other" })
	add(false, turned.Secret, func(one *try) { delete(one.Headers, "webhook-signature") })
	add(false, turned.Secret, func(one *try) { one.Headers["webhook-timestamp"] = "" })
	old := time.Now().Add(-time.Hour)
	stale, err := sign("evt_1", old, []byte("{}"), turned.Secret)
	if err != nil {
		t.Fatal(err)
	}
	add(false, turned.Secret, func(one *try) { // well signed, and played again an hour later
		one.Body = "{}"
		one.Headers = map[string]string{"webhook-id": "evt_1", "webhook-timestamp": jsonOf(t, old.Unix()), "webhook-signature": stale}
	})
	input := jsonOf(t, tries)

	check := func(t *testing.T, cmd *exec.Cmd) {
		t.Helper()
		cmd.Stdin = strings.NewReader(input)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		var verdicts []bool
		if err := json.Unmarshal(out, &verdicts); err != nil || len(verdicts) != len(tries) {
			t.Fatalf("%v: %s", err, out)
		}
		for i, good := range verdicts {
			if good != tries[i].Good {
				t.Errorf("try %d: %t", i, good)
			}
		}
	}

	t.Run("in Go", func(t *testing.T) {
		dir := t.TempDir()
		program := `package main
import ("crypto/hmac"; "crypto/sha256"; "encoding/base64"; "encoding/json"; "errors"; "fmt"; "net/http"; "os"; "strconv"; "strings"; "time")
func main() {
	var tries []struct{ Secret string; Headers map[string]string; Body string }
	if err := json.NewDecoder(os.Stdin).Decode(&tries); err != nil { panic(err) }
	verdicts := []bool{}
	for _, one := range tries {
		h := http.Header{}
		for name, value := range one.Headers { h.Set(name, value) }
		verdicts = append(verdicts, verify(one.Secret, h, []byte(one.Body), time.Now()) == nil)
	}
	_ = json.NewEncoder(os.Stdout).Encode(verdicts)
}
` + snippet(t, "go")
		file := filepath.Join(dir, "main.go")
		if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
			t.Fatal(err)
		}
		check(t, exec.CommandContext(t.Context(), "go", "run", file))
	})

	t.Run("in JavaScript", func(t *testing.T) {
		node, err := exec.LookPath("node")
		if err != nil {
			t.Skip("node is not installed; the snippet in JavaScript is not tried")
		}
		file := filepath.Join(t.TempDir(), "verify.mjs")
		program := snippet(t, "node") + `
import { readFileSync } from "node:fs";
const tries = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(tries.map((one) => { try { verify(one.secret, one.headers, one.body); return true; } catch { return false; } })));
`
		if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
			t.Fatal(err)
		}
		check(t, exec.CommandContext(t.Context(), node, file))
	})
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
