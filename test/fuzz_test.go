package test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestFuzz sends seeded random requests, good, nearly good and wild, to every route that the API's description has, of a whole
// system. Whatever comes: no answer is a 5xx, every one is of a status, a content type and a schema that the description
// promises for that route, no body that breaks the described schema is taken, no route works without a token, and the system
// publishes a post afterwards as it did before.
//
// FUZZ_REQUESTS (4,000) says how many, FUZZ_SEED (1) from where on; a failure prints both and the request.
func TestFuzz(t *testing.T) {
	t.Parallel()
	requests, seed := number(t, "FUZZ_REQUESTS", 4_000), number(t, "FUZZ_SEED", 1)
	h := newSystem(t, "RATE_LIMIT_READS_PER_MINUTE=0", "RATE_LIMIT_WRITES_PER_MINUTE=0", "RATE_LIMIT_ANONYMOUS_PER_MINUTE=0")
	h.start()
	h.connect()
	api := readDescription(t, h)
	began := time.Now()
	fuzzers := make([]*fuzzer, 4)
	for i := range fuzzers {
		fuzzers[i] = &fuzzer{api: api, system: h, random: rand.New(rand.NewPCG(uint64(seed), uint64(i))), seen: map[int]int{}, broken: map[string]error{}}
	}
	const rounds = 20
	for range rounds {
		h.reconnect() // requests take the account away, too
		var working sync.WaitGroup
		for _, f := range fuzzers {
			working.Go(func() {
				for range requests / rounds / len(fuzzers) {
					f.try(t.Context())
				}
			})
		}
		working.Wait()
	}
	all, broken := map[int]int{}, map[string]error{}
	for _, f := range fuzzers {
		maps.Copy(broken, f.broken)
		for status, n := range f.seen {
			all[status] += n
		}
	}
	for _, err := range broken {
		t.Errorf("FUZZ_SEED=%d FUZZ_REQUESTS=%d: %v", seed, requests, err)
	}
	t.Logf("%d requests in %s: %v", requests, time.Since(began).Round(time.Millisecond), all)
	if all[http.StatusCreated] == 0 || all[http.StatusOK] == 0 || all[http.StatusUnprocessableEntity] == 0 {
		t.Error("requests like these reach nothing")
	}
	for _, line := range strings.Split(h.log.String(), "\n") {
		if strings.Contains(line, `"panic`) || strings.Contains(line, `"message":"request failed"`) {
			t.Error(line)
		}
	}
	h.reconnect()
	h.up()
	h.posted(h.schedule("after the storm", time.Second))
}

// reconnect connects the account, if it is not.
func (h *system) reconnect() {
	h.t.Helper()
	var is struct{ Connected bool }
	if h.call(http.MethodGet, h.url("PORT")+"/api/threads/connection", nil, &is); !is.Connected {
		h.connect()
	}
}

func number(t *testing.T, name string, usual int) int {
	t.Helper()
	if os.Getenv(name) == "" {
		return usual
	}
	n, err := strconv.Atoi(os.Getenv(name))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// description is the API's own description of itself.
type description struct {
	doc     any
	routes  []route
	schemas map[string]*jsonschema.Schema // by their place in the document
}

type route struct {
	method, path string
	operation    map[string]any
	at           string // the operation's place in the document
}

func readDescription(t *testing.T, h *system) *description {
	t.Helper()
	resp, err := http.Get(h.url("PORT") + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	d := &description{schemas: map[string]*jsonschema.Schema{}}
	if d.doc, err = jsonschema.UnmarshalJSON(resp.Body); err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("api.json", d.doc); err != nil {
		t.Fatal(err)
	}
	compile := func(at string) {
		if d.schemas[at], err = c.Compile("api.json#" + at); err != nil {
			t.Fatalf("%s: %v", at, err)
		}
	}
	escaped := strings.NewReplacer("~", "~0", "/", "~1")
	paths := dig(d.doc, "paths")
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		for _, method := range slices.Sorted(maps.Keys(dig(paths, path))) {
			r := route{strings.ToUpper(method), path, dig(paths, path, method), "/paths/" + escaped.Replace(path) + "/" + method}
			for kind := range dig(r.operation, "requestBody", "content") {
				compile(r.at + "/requestBody/content/" + escaped.Replace(kind) + "/schema")
			}
			for status := range dig(r.operation, "responses") {
				for kind := range dig(d.resolve(dig(r.operation, "responses", status)), "content") {
					at := r.at + "/responses/" + status
					if ref, ok := dig(r.operation, "responses", status)["$ref"].(string); ok {
						at = strings.TrimPrefix(ref, "#")
					}
					compile(at + "/content/" + escaped.Replace(kind) + "/schema")
				}
			}
			d.routes = append(d.routes, r)
		}
	}
	return d
}

// dig walks down objects; a missing step is an empty one.
func dig(v any, steps ...string) map[string]any {
	for _, step := range steps {
		m, _ := v.(map[string]any)
		v = m[step]
	}
	m, _ := v.(map[string]any)
	return m
}

// resolve follows references within the document.
func (d *description) resolve(m map[string]any) map[string]any {
	for {
		ref, ok := m["$ref"].(string)
		if !ok {
			return m
		}
		m = dig(d.doc, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
}

// judge says which promise of the description an answer breaks.
func (d *description) judge(r route, resp *http.Response, body []byte) error {
	if resp.StatusCode >= http.StatusInternalServerError {
		return errors.New("a fault of ours")
	}
	status := strconv.Itoa(resp.StatusCode)
	promised, ok := dig(r.operation, "responses")[status].(map[string]any)
	if !ok {
		if resp.StatusCode == http.StatusRequestHeaderFieldsTooLarge { // net/http's own, before any route
			return nil
		}
		return errors.New("the description has no such status")
	}
	at := r.at + "/responses/" + status
	if ref, ok := promised["$ref"].(string); ok {
		at = strings.TrimPrefix(ref, "#")
	}
	content := dig(d.resolve(promised), "content")
	if len(content) == 0 {
		if len(body) > 0 {
			return errors.New("the description promises no body")
		}
		return nil
	}
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || content[kind] == nil {
		return fmt.Errorf("content type %q is not described", resp.Header.Get("Content-Type"))
	}
	if !strings.HasSuffix(kind, "json") {
		return nil
	}
	answer, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("no JSON: %w", err)
	}
	if err := d.schemas[at+"/content/"+strings.ReplaceAll(kind, "/", "~1")+"/schema"].Validate(answer); err != nil {
		return fmt.Errorf("it breaks its schema: %w", err)
	}
	if resp.StatusCode >= http.StatusBadRequest && dig(answer)["requestId"] != resp.Header.Get("X-Request-Id") {
		return errors.New("the problem has another id than the answer")
	}
	return nil
}

// fuzzer makes requests.
type fuzzer struct {
	api    *description
	system *system
	random *rand.Rand
	ids    []string // of what the system has made
	seen   map[int]int
	broken map[string]error // the first promise of each kind that was broken
}

// attempt is one request.
type attempt struct {
	route
	target  string
	headers map[string]string
	body    []byte
	sound   bool // the body is one JSON value, which says nothing twice
	invalid bool // and breaks the described schema
	naked   bool // without a token that counts
}

func (a attempt) String() string {
	return fmt.Sprintf("%s %.400s\n%v\n%.2000q", a.method, a.target, a.headers, a.body)
}

func (f *fuzzer) try(ctx context.Context) {
	a := f.attempt()
	status, body, err := f.send(ctx, a)
	kind := fmt.Sprintf("%s %s %d %.40v", a.method, a.path, status, err)
	if err != nil && f.broken[kind] == nil {
		f.broken[kind] = fmt.Errorf("%w\n%s\nwas answered %d %.3000s", err, a, status, body)
	}
}

// send sends a request, and says which promise the answer breaks.
func (f *fuzzer) send(ctx context.Context, a attempt) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, a.method, f.system.url("PORT")+a.target, bytes.NewReader(a.body))
	if err != nil {
		return 0, nil, nil // no client could send it
	}
	for name, value := range a.headers {
		req.Header.Set(name, value)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("no answer: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if body, err = io.ReadAll(resp.Body); err != nil {
		return resp.StatusCode, body, fmt.Errorf("half an answer: %w", err)
	}
	f.seen[resp.StatusCode]++
	if err := f.api.judge(a.route, resp, body); err != nil {
		return resp.StatusCode, body, err
	}
	taken := resp.StatusCode < http.StatusMultipleChoices
	if a.operation["operationId"] == "validatePost" { // says what is wrong in a good answer
		taken = taken && bytes.HasPrefix(body, []byte(`{"valid":true`))
	}
	if taken && a.invalid && resp.StatusCode != http.StatusAccepted { // whose outcome may say so later
		return resp.StatusCode, body, errors.New("a body that breaks its schema was taken")
	}
	if taken && a.naked && len(each(a.operation["security"])) > 0 {
		return resp.StatusCode, body, errors.New("it works without a token")
	}
	var made struct{ ID, PostID string }
	if taken && json.Unmarshal(body, &made) == nil {
		for _, id := range []string{made.ID, made.PostID} {
			if id != "" && !slices.Contains(f.ids, id) {
				f.ids = append(f.ids, id)
			}
		}
	}
	return resp.StatusCode, body, nil
}

func each(v any) []any {
	list, _ := v.([]any)
	return list
}

// attempt makes a request of a random route.
func (f *fuzzer) attempt() attempt {
	a := attempt{headers: map[string]string{"Authorization": "Bearer " + f.system.token}}
	for a.operation == nil || a.operation["operationId"] == "streamEvents" || a.operation["operationId"] == "disconnect" && f.chance(0.9) {
		a.route = pick(f.random, f.api.routes)
	}
	if f.chance(0.03) {
		a.headers["Authorization"] = pick(f.random, []string{"", "Bearer", "Bearer ..", "Basic x", "Bearer " + f.system.token[:40], "Bearer " + strings.Repeat("a", 9000)})
		a.naked = true
	}
	path, query := a.path, url.Values{}
	for _, listed := range each(a.operation["parameters"]) {
		p := f.api.resolve(dig(listed))
		name, _ := p["name"].(string)
		value := asText(f.value(dig(p, "schema"), 1, 0.1))
		switch required, _ := p["required"].(bool); p["in"] {
		case "path":
			if len(f.ids) > 0 && f.chance(0.6) {
				value = pick(f.random, f.ids)
			}
			if value = url.PathEscape(value); value == "" || value == "." || value == ".." {
				value = "x" // another route
			}
			path = strings.ReplaceAll(path, "{"+name+"}", value)
		case "query":
			for (required || f.chance(0.35) && (name != "accountId" || f.chance(0.2))) && f.chance(0.95) {
				query.Add(name, value)
				if !f.chance(0.1) {
					break
				}
			}
		case "header":
			if f.chance(0.3) {
				a.headers[name] = strings.Map(func(r rune) rune {
					if r < ' ' || r == 0x7f || r == utf8.RuneError {
						return -1
					}
					return r
				}, fmt.Sprintf("%.2000s", value))
			}
		}
	}
	if f.chance(0.05) {
		query.Add(pick(f.random, []string{"", "x", "limit", "cursor", "a[]", "accountId"}), pick(f.random, oddWords))
	}
	if a.method != http.MethodGet && (a.headers["Prefer"] == "" || f.chance(0.9)) {
		a.headers["Prefer"] = pick(f.random, []string{"respond-async", "respond-async", "wait=0", "wait=1"})
	}
	if a.target = path; len(query) > 0 {
		a.target += "?" + query.Encode()
	}
	f.addBody(&a)
	return a
}

func (f *fuzzer) addBody(a *attempt) {
	content := dig(a.operation, "requestBody", "content")
	if len(content) == 0 {
		return
	}
	kind := pick(f.random, slices.Sorted(maps.Keys(content)))
	value := dig(content, kind)["example"]
	if value == nil || f.chance(0.7) {
		value = f.value(dig(content, kind, "schema"), 0, pick(f.random, []float64{0, 0.02, 0.1}))
	}
	a.headers["Content-Type"] = kind
	switch fields, isObject := value.(map[string]any); {
	case strings.HasSuffix(kind, "/json"):
		a.body, _ = json.Marshal(value)
		a.sound = true
		f.spoil(a)
	case isObject && strings.HasSuffix(kind, "urlencoded"):
		form := url.Values{}
		for name, v := range fields {
			form.Set(name, asText(v))
		}
		a.body = []byte(form.Encode())
	default:
		a.body = []byte(asText(value))
	}
	if at := a.at + "/requestBody/content/" + strings.ReplaceAll(kind, "/", "~1") + "/schema"; a.sound {
		sent, err := jsonschema.UnmarshalJSON(bytes.NewReader(a.body))
		a.invalid = err == nil && f.api.schemas[at].Validate(withoutNothing(sent)) != nil && f.api.schemas[at].Validate(sent) != nil
	}
	if f.chance(0.02) {
		a.headers["Content-Type"] = pick(f.random, []string{"text/plain", "application/xml", "application/json; charset=utf-16", "multipart/form-data"})
	}
}

// withoutNothing leaves out what is null or an empty text: that is the same to the API, except in a change.
func withoutNothing(v any) any {
	switch v := v.(type) {
	case map[string]any:
		left := map[string]any{}
		for name, value := range v {
			if value != nil && value != "" {
				left[name] = withoutNothing(value)
			}
		}
		return left
	case []any:
		left := make([]any, len(v))
		for i, value := range v {
			left[i] = withoutNothing(value)
		}
		return left
	}
	return v
}

// spoil breaks a JSON body now and then.
func (f *fuzzer) spoil(a *attempt) {
	if !f.chance(0.08) {
		return
	}
	a.sound = false
	switch b := a.body; f.random.IntN(6) {
	case 0:
		a.body = b[:f.random.IntN(len(b)+1)]
	case 1:
		a.body = slices.Concat(b, b)
	case 2:
		a.body = slices.Concat([]byte(strings.Repeat("[", pick(f.random, []int{10, 1000, 20_000}))), b)
	case 3:
		a.body = slices.Concat([]byte("\xef\xbb\xbf"), b)
	case 4:
		a.body = bytes.Replace(b, []byte(`":`), []byte(`":1,"twice":`), 1)
	case 5:
		if len(b) > 0 {
			a.body = slices.Clone(b)
			a.body[f.random.IntN(len(b))] = byte(f.random.IntN(256))
		}
	}
}

// value makes a value of a schema; now and then, by wild, one that is not.
func (f *fuzzer) value(schema map[string]any, depth int, wild float64) any {
	schema = f.api.resolve(schema)
	if f.chance(wild) {
		return f.anything(depth)
	}
	for _, one := range []string{"anyOf", "oneOf"} {
		if choices := each(schema[one]); len(choices) > 0 {
			return f.value(dig(pick(f.random, choices)), depth, wild)
		}
	}
	if known := slices.Concat(each(schema["enum"]), each(schema["examples"])); len(known) > 0 && f.chance(0.7) {
		return pick(f.random, known)
	}
	kind, _ := schema["type"].(string)
	if kinds := each(schema["type"]); len(kinds) > 0 {
		kind, _ = pick(f.random, kinds).(string)
	}
	switch kind {
	case "object":
		return f.object(schema, depth, wild)
	case "array":
		list := []any{}
		for range pick(f.random, []int{0, 1, 1, 2, 3, 21}) {
			if depth < 4 {
				list = append(list, f.value(dig(schema, "items"), depth+1, wild))
			}
		}
		return list
	case "string":
		if schema["format"] == "date-time" {
			return pick(f.random, []string{"2027-12-24T09:00:00Z", "2027-01-01T00:00:00+01:00", "2027-03-28T02:30:00", "2026-13-45T25:61:61Z", "0000-01-01T00:00:00Z"})
		}
		if len(f.ids) > 0 && f.chance(0.2) {
			return pick(f.random, f.ids)
		}
		if f.chance(0.5) {
			return pick(f.random, plainWords) + strconv.Itoa(f.random.IntN(1000))
		}
		return pick(f.random, oddWords)
	case "integer":
		return pick(f.random, []any{1, 2, 5, 50, 3600, 0, -1, 1 << 31, 1 << 53})
	case "number":
		return pick(f.random, oddNumbers)
	case "boolean":
		return f.chance(0.5)
	case "null":
		return nil
	}
	return f.anything(depth)
}

func (f *fuzzer) object(schema map[string]any, depth int, wild float64) any {
	made := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(dig(schema, "properties"))) {
		required := slices.Contains(each(schema["required"]), any(name))
		likely := 0.25
		if idLike.MatchString(name) || slices.Contains(references, name) {
			likely = 0.05 // most ids lead to nothing
		}
		if required && f.chance(0.97) || f.chance(likely) {
			made[name] = f.value(dig(schema, "properties", name), depth+1, wild)
		}
	}
	if f.chance(wild / 2) {
		made[pick(f.random, oddWords)] = f.anything(depth)
	}
	return made
}

func (f *fuzzer) anything(depth int) any {
	switch n := f.random.IntN(10); {
	case n < 4 || depth > 4:
		return pick(f.random, oddWords)
	case n < 6:
		return pick(f.random, oddNumbers)
	case n < 8:
		return pick(f.random, []any{true, false, nil})
	case n < 9:
		return []any{f.anything(depth + 1), f.anything(depth + 1)}
	}
	return map[string]any{pick(f.random, oddWords): f.anything(depth + 1)}
}

func (f *fuzzer) chance(p float64) bool { return f.random.Float64() < p }

func pick[T any](random *rand.Rand, from []T) T { return from[random.IntN(len(from))] }

// asText is a value as it stands in a query.
func asText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, _ := json.Marshal(v)
	return string(b)
}

var plainWords = []string{"hello ", "a text ", "https://cdn.example.com/", "demo.user", "tag"}

var oddNumbers = []any{0, -1, 1.5, 1e300, -1e300, 1 << 31, 1 << 53, json.Number("18446744073709551616"), json.Number("1e400"), 1e-300}

var oddWords = []string{
	"", "a", "null", "0", "-1", "1e999", "\x00", "a\x00b", "\xed\xa0\x80", strings.Repeat("é", 300), strings.Repeat("x", 501), strings.Repeat("x", 70_000),
	strings.Repeat("👩‍👩‍👧‍👦", 60), "'; DROP TABLE posts;--", "\r\nX-Evil: 1", "../../etc/passwd", "%00", "%zz", "{}", "[]", "<script>", "\u202e", "\ufeff", "𝕏", "\t\n", " ",
	"post_01jbkq4t00e7x8v5n2m3k9w0rb", "acct_01jbkq4t00e7x8v5n2m3k9w0rb", "18060000000000021", "99999999999999999999999999",
	"2026-11-23T24:00:00Z", "9999-12-31T23:59:59.999999999Z", "2030-01-01T00:00:00-99:99", "2027-10-31T02:30:00", "Europe/Berlin", "Local", "../UTC", "now",
	"http://127.0.0.1/", "http://169.254.169.254/latest", "file:///etc/passwd", "javascript:alert(1)", "http://[::1]/", "http://user:pw@example.com/", "data:,x",
	"https://" + strings.Repeat("a", 3000) + ".com", "eyJ0IjoieCJ9", "everyone", "IMAGE", "QUEUED", "*", "|",
}
