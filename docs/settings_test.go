package docs_test

import (
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/services/auth"
	"github.com/omni-write/threads/services/gateway"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/tokenkeeper"
)

var update = flag.Bool("update", false, "rewrite settings.md")

const settingsPage = "settings.md"

// row is one line of the page: a setting, or several that one comment explains together.
type row struct {
	names, kinds, defaults []string
	allowed, readBy, does  string
}

// section is a heading of the page with its rows.
type section struct {
	name, about string
	rows        []row
}

// unstructured are the settings that no config struct has: those of standalone, which are read before there is one, and
// those of the Go runtime and of OpenTelemetry's own library.
var unstructured = section{name: "Outside the structs", rows: []row{
	{names: []string{"ADMIN_PORT"}, kinds: []string{"number"}, defaults: []string{"9090"}, readBy: "standalone",
		allowed: "A free port when that is taken.", does: "The port of /livez, /readyz and /metrics of all services."},
	{names: []string{"GOGC"}, kinds: []string{"number"}, defaults: []string{"300"}, readBy: "every process",
		does: "Go's own: by how many percent the heap grows before it is collected."},
	{names: []string{"ISSUER_PORT"}, kinds: []string{"number"}, defaults: []string{"9098"}, readBy: "standalone",
		allowed: "A free port when that is taken.", does: "The port of the issuer of dev tokens, which runs while `AUTH_ISSUER` is not set."},
	{names: []string{"NATS_PORT"}, kinds: []string{"number"}, defaults: []string{"4222"}, readBy: "standalone",
		allowed: "A free port when that is taken.", does: "The port of the embedded nats-server."},
	{names: []string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_TRACES_SAMPLER", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_BSP_*"},
		kinds: []string{"text"}, readBy: "every process",
		does: "[OpenTelemetry's own](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/), read by its library."},
	{names: []string{"PG_BINDIR"}, kinds: []string{"directory"}, readBy: "standalone, bench, torture, tests",
		allowed: "Empty: on `PATH`, then where packages put them.", does: "Where the programs of Postgres are (`initdb`, `postgres`)."},
	{names: []string{"PG_REPOSITORY"}, kinds: []string{"address"}, readBy: "standalone, bench, torture, tests",
		allowed: "Empty: the one that the library embedded-postgres names.",
		does:    "Where Postgres is downloaded from when none is installed: a repository laid out as Maven's are, such as a company's mirror."},
	{names: []string{"SIMULATOR_PORT"}, kinds: []string{"number"}, defaults: []string{"9099"}, readBy: "standalone",
		allowed: "A free port when that is taken.", does: "The port of the simulated Threads."},
	{names: []string{"STATE_DIR"}, kinds: []string{"directory"}, readBy: "standalone, operators' commands",
		allowed: "Empty: `omni-write-threads` in `$XDG_STATE_HOME`, or else in `~/.local/state` (macOS: `~/Library/Application Support`); as root `/var/lib/omni-write-threads`.",
		does:    "Where everything is kept between two starts: streams, database, keys, the simulator's memory."},
	{names: []string{"THREADS_CRASH_AT"}, kinds: []string{"text"}, readBy: "every process",
		allowed: "Empty: never.", does: "For tests: the crash point (`internal/crash`) at which the process kills itself."},
	{names: []string{"XDG_CACHE_HOME"}, kinds: []string{"directory"}, readBy: "standalone, bench, torture, tests",
		allowed: "Empty: the user's cache; as root `/var/cache`.", does: "A downloaded Postgres is kept in `omni-threads` there."},
	{names: []string{"XDG_STATE_HOME"}, kinds: []string{"directory"}, readBy: "standalone, operators' commands", does: "See `STATE_DIR`."},
}}

// ofTests are those that tests read.
var ofTests = section{name: "Tests", rows: []row{
	{names: []string{"CONSOLE_SHOTS"}, kinds: []string{"directory"}, allowed: "Empty: none are taken.", does: "Where the console's tests put pictures of its pages."},
	{names: []string{"CRASH_MATRIX"}, kinds: []string{"text"}, allowed: "`all`. Empty: a sample.", does: "Which cases of `TestCrashMatrix` run."},
	{names: []string{"CRASH_SEED"}, kinds: []string{"number"}, allowed: "Empty: another sample each day.", does: "Repeats a sample of `TestCrashMatrix`."},
	{names: []string{"FUZZ_REQUESTS", "FUZZ_SEED"}, kinds: []string{"number"}, defaults: []string{"4000", "1"}, does: "How many requests `TestFuzz` sends, and from which seed."},
	{names: []string{"NEED_CHROMIUM"}, kinds: []string{"text"}, allowed: "Anything. Empty: they are skipped.", does: "The console's tests in a browser fail where there is no Chromium."},
	{names: []string{"TENANCY_TIMES"}, kinds: []string{"text"}, allowed: "`1`, on a machine with nothing else to do. Empty: times are shown only.", does: "`TestTenancy` also judges whether the time of an answer tells that something exists."},
	{names: []string{"TEST_DATABASE_URL"}, kinds: []string{"address"}, allowed: "Empty: a private server for each package.", does: "A Postgres in which tests may make and drop databases."},
	{names: []string{"TOKENKEEPER_VIRTUAL_ACCOUNTS"}, kinds: []string{"number"}, defaults: []string{"40"}, does: "How many accounts `TestVirtualRun` has."},
	{names: []string{"TORTURE_SEED"}, kinds: []string{"number"}, allowed: "Empty: another each day.", does: "The seed of torture's `TestSample`."},
}}

// The page is made from the config structs: go test ./docs -update.
func TestSettingsPage(t *testing.T) {
	page := settings(t)
	if *update {
		if err := os.WriteFile(settingsPage, page, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, settingsPage) != string(page) {
		t.Errorf("docs/settings.md is stale: run go test ./docs -update")
	}
}

var (
	settingTag = regexp.MustCompile("`env:\"([A-Z_0-9]+)[^\"]*\"(?: envDefault:\"([^\"]*)\")?")
	settingRow = regexp.MustCompile("(?m)^\\| (`[A-Z_0-9*]+`(?:, `[A-Z_0-9*]+`)*) \\|[^|]*\\|([^|]*)\\|")
	settingRef = regexp.MustCompile("`([^`]+)`")
)

// docs/settings.md names every setting that is read, with its default, and no other. This reads the sources as text, so that a
// struct that the page's maker does not see is missed here.
func TestSettingsAreDocumented(t *testing.T) {
	inCode, asked := map[string]string{}, map[string]bool{}
	all := sources(t)
	for path, source := range all {
		for _, m := range askedFor.FindAllStringSubmatch(source, -1) {
			asked[m[1]] = true
		}
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		for _, m := range settingTag.FindAllStringSubmatch(source, -1) {
			inCode[m[1]] = m[2]
		}
	}
	for _, r := range slices.Concat(unstructured.rows, ofTests.rows) {
		for i, name := range r.names {
			inCode[name] = ""
			if i < len(r.defaults) {
				inCode[name] = r.defaults[i]
			}
			read := strings.HasPrefix(name, "OTEL_") // by OpenTelemetry's own library
			for _, source := range all {
				read = read || strings.Contains(source, `"`+name+`"`)
			}
			if !read {
				t.Errorf("%s is in a table here, and nothing reads it", name)
			}
		}
	}
	documented := map[string]bool{}
	for _, row := range settingRow.FindAllStringSubmatch(read(t, settingsPage), -1) {
		var defaults []string
		for _, m := range settingRef.FindAllStringSubmatch(row[2], -1) {
			defaults = append(defaults, m[1])
		}
		for _, m := range settingRef.FindAllStringSubmatch(row[1], -1) {
			name := m[1]
			documented[name] = true
			is, known := inCode[name]
			switch {
			case !known:
				t.Errorf("%s is documented, and nothing reads it", name)
			case is != "" && !slices.Contains(defaults, is):
				t.Errorf("the default of %s is %s, the page says %v", name, is, defaults)
			}
		}
	}
	for name := range inCode {
		if !documented[name] {
			t.Errorf("%s is not in docs/settings.md", name)
		}
	}
	for name := range asked {
		if !documented[strings.TrimSuffix(name, "_FILE")] && !documented[name] && name != "PATH" {
			t.Errorf("%s is read, and is not in docs/settings.md", name)
		}
	}
	if len(documented) < 100 {
		t.Errorf("the page has %d settings: the tables were not found", len(documented))
	}
}

var (
	atLeast = regexp.MustCompile(`(?i)\bat least (\w+)`)
	between = regexp.MustCompile(`From (\w+) to (\w+)`)
)

// What the page says of durations and numbers is what the services take and refuse.
func TestSettingsAreBounded(t *testing.T) {
	read := map[string]func(func(string) string) error{
		"gateway":     func(env func(string) string) error { _, err := gateway.ConfigFromEnv(env); return err },
		"auth":        func(env func(string) string) error { _, err := auth.ConfigFromEnv(env); return err },
		"publisher":   func(env func(string) string) error { _, err := publisher.ConfigFromEnv(env); return err },
		"tokenkeeper": func(env func(string) string) error { _, err := tokenkeeper.ConfigFromEnv(env); return err },
	}
	tried := 0
	for service, rows := range inStructs(t) {
		refuses := func(name, value string) bool {
			tried++
			err := read[service](func(asked string) string { return map[string]string{name: value}[asked] })
			return err != nil && strings.Contains(err.Error(), name)
		}
		for _, r := range rows {
			for i, name := range r.names {
				if read[service] == nil || r.kinds[i] != "duration" && r.kinds[i] != "number" {
					continue
				}
				var under, over string
				if m := between.FindStringSubmatch(r.allowed); m != nil {
					under, over = beside(t, m[1], -1), beside(t, m[2], 1)
				} else if m := atLeast.FindStringSubmatch(r.allowed); m != nil {
					under = beside(t, m[1], -1)
				} else if !strings.Contains(r.allowed, "0: ") && r.kinds[i] == "duration" {
					under = "0s"
				}
				for _, value := range []string{under, over} {
					if value != "" && !refuses(name, value) {
						t.Errorf("%s=%s is taken; the page says: %s", name, value, r.allowed)
					}
				}
				if strings.Contains(r.allowed, "0: ") && refuses(name, "0") {
					t.Errorf("%s=0 is refused; the page says: %s", name, r.allowed)
				}
				if strings.Contains(r.allowed, "Floor ") && refuses(name, "10ms") {
					t.Errorf("%s under its floor is refused; the page says: %s", name, r.allowed)
				}
			}
		}
	}
	if tried < 60 {
		t.Errorf("only %d values were tried", tried)
	}
}

// beside is the next value below or above a bound, as a setting has it.
func beside(t *testing.T, bound string, by int) string {
	t.Helper()
	if n, err := strconv.Atoi(bound); err == nil {
		return strconv.Itoa(n + by)
	}
	d, err := time.ParseDuration(bound)
	if err != nil {
		t.Fatal(err)
	}
	return (d + time.Duration(by)*time.Millisecond).String()
}

// askedFor is a setting that code asks for by its name.
var askedFor = regexp.MustCompile(`(?:[Gg]etenv\(|LookupEnv\(|\.outer\(|number\(t, |\bEnv += )"([A-Z][A-Z_0-9]+)"`)

// sources are all Go files of the repository but those here, by their path.
func sources(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	walk(t, func(path string) {
		path = filepath.ToSlash(path)
		if strings.HasSuffix(path, ".go") && !strings.HasPrefix(path, "../docs/") {
			found[strings.TrimPrefix(path, "../")] = read(t, path)
		}
	})
	return found
}

// services are those that have a section, in its order; "" is what all of them read.
var services = []string{"", "gateway", "auth", "publisher", "tokenkeeper"}

// settings is the page as the code has it.
func settings(t *testing.T) []byte {
	t.Helper()
	all := inStructs(t)
	var page strings.Builder
	page.WriteString(settingsHead)
	for _, service := range services {
		s := section{name: service, rows: all[service]}
		if service == "" {
			s.name, s.about = "Every process", "What has no *read by* is read by all of them."
		}
		s.write(&page)
	}
	unstructured.write(&page)
	ofTests.write(&page)
	return []byte(page.String())
}

// inStructs are the settings of all config structs, by the service that reads them.
func inStructs(t *testing.T) map[string][]row {
	t.Helper()
	found, files := map[string][]row{}, token.NewFileSet()
	for path, source := range sources(t) {
		if strings.HasSuffix(path, "_test.go") || !strings.Contains(source, "`env:\"") {
			continue
		}
		file, err := parser.ParseFile(files, path, source, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		service := ""
		if steps := strings.Split(path, "/"); steps[0] == "services" && slices.Contains(services, steps[1]) {
			service = steps[1]
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.StructType); ok {
				found[service] = append(found[service], rowsOf(files, s)...)
			}
			return true
		})
	}
	return found
}

// rowsOf are the settings of a struct. One without a comment shares that of the line before it.
func rowsOf(files *token.FileSet, s *ast.StructType) (rows []row) {
	fields, lastLine := map[string]string{}, -1
	for _, f := range s.Fields.List {
		if f.Tag == nil || len(f.Names) == 0 {
			continue
		}
		tag := reflect.StructTag(strings.Trim(f.Tag.Value, "`"))
		name, _, _ := strings.Cut(tag.Get("env"), ",")
		if name == "" {
			continue
		}
		line := files.Position(f.Names[0].Pos()).Line
		if f.Doc != nil || lastLine != line-1 || len(rows) == 0 {
			rows = append(rows, row{does: strings.Join(strings.Fields(f.Doc.Text()), " ")})
		}
		r := &rows[len(rows)-1]
		r.names, r.kinds, r.defaults = append(r.names, name), append(r.kinds, kind(f.Type)), append(r.defaults, tag.Get("envDefault"))
		fields[f.Names[0].Name], lastLine = name, line
	}
	for i := range rows {
		rows[i].explain(fields)
	}
	return rows
}

func kind(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.Ident:
		return map[string]string{"string": "text", "int": "number", "int64": "number", "bool": "true or false"}[t.Name]
	case *ast.ArrayType:
		return "list"
	case *ast.SelectorExpr:
		return map[string]string{"Duration": "duration", "Time": "time", "Token": "secret"}[t.Sel.Name]
	}
	return ""
}

var (
	sentenceEnd = regexp.MustCompile(`[.:] +(?:[A-Z0-9])`)
	bound       = regexp.MustCompile(`^(?:From |Floors? |At (?:least|most) |One of |0: |0 means |Empty\b|Required\b|Optional)`)
	readers     = regexp.MustCompile(`^(?:Needed|Read|Used) by (.*)\.$`)
	defaulted   = regexp.MustCompile(`^Defaults? [^.:]*\.$`)
)

// explain sorts the sentences of the comment: those that bound the value, the one that says who reads it, those that say the
// default, which has a column of its own, and the others. Names of Go fields become names of settings.
func (r *row) explain(fields map[string]string) {
	var bounds, rest []string
	for text := r.does; text != ""; {
		sentence := text
		for _, end := range sentenceEnd.FindAllStringIndex(text, -1) {
			if text[end[0]] == '.' {
				sentence = text[:end[0]+1]
				break
			}
		}
		text = strings.TrimSpace(text[len(sentence):])
		switch m := readers.FindStringSubmatch(sentence); {
		case m != nil:
			r.readBy = m[1]
		case bound.MatchString(sentence):
			bounds = append(bounds, sentence)
		case !defaulted.MatchString(sentence):
			rest = append(rest, sentence)
		}
	}
	named := func(s string) string {
		for _, field := range slices.SortedFunc(maps.Keys(fields), func(a, b string) int { return cmp.Compare(len(b), len(a)) }) {
			s = regexp.MustCompile(`(^|[^`+"`"+`\w])`+field+`\b`).ReplaceAllString(s, "${1}`"+fields[field]+"`")
		}
		return s
	}
	r.allowed, r.does = named(strings.Join(bounds, " ")), named(strings.Join(rest, " "))
	if len(r.names) == 1 { // the row begins with its name already
		does := strings.TrimPrefix(r.does, "`"+r.names[0]+"` ")
		for _, verb := range []string{"is ", "are "} {
			does = strings.TrimPrefix(does, verb)
		}
		if does != r.does {
			r.does = strings.ToUpper(does[:1]) + does[1:]
		}
	}
}

const settingsHead = `# Settings

*Made from the config structs by ` + "`go test ./docs -update`" + `; a test fails when a setting is missing here, or stale.*

All settings come from the environment. One that is set but empty takes its default. Every ` + "`NAME`" + ` of a config struct may also come from the
file that ` + "`NAME_FILE`" + ` names, as secrets do in containers; both at once is a mistake. A process that finds a mistake says all of them and
ends. ` + "`go run . doctor`" + ` checks the settings of every service. [.env.example](../.env.example) has those that must be set.

Durations are written ` + "`90s`, `15m` or `48h`" + ` and must be more than 0 where a row does not say what 0 means; times as
` + "`2026-11-22T10:00:00Z`" + `; lists with commas. A wait under its *floor* is taken, for tests, with a warning: against Threads a post could
then go out twice. *standalone* is ` + "`go run .` and `go run . demo`" + `: everything in one process, which reads the settings of all services and
chooses itself what is not set.
`

func (s *section) write(page *strings.Builder) {
	slices.SortFunc(s.rows, func(a, b row) int { return cmp.Compare(a.names[0], b.names[0]) })
	fmt.Fprintf(page, "\n## %s\n\n", s.name)
	if s.about != "" {
		fmt.Fprintf(page, "%s\n\n", s.about)
	}
	reads := slices.ContainsFunc(s.rows, func(r row) bool { return r.readBy != "" })
	page.WriteString("| setting | type | default | allowed |")
	if reads {
		page.WriteString(" read by |")
	}
	page.WriteString(" what it does |\n| --- | --- | --- | --- |")
	if reads {
		page.WriteString(" --- |")
	}
	page.WriteString(" --- |\n")
	for _, r := range s.rows {
		fmt.Fprintf(page, "| %s | %s | %s | %s |", quoted(r.names), strings.Join(slices.Compact(r.kinds), ", "), quoted(r.defaults), r.allowed)
		if reads {
			fmt.Fprintf(page, " %s |", r.readBy)
		}
		fmt.Fprintf(page, " %s |\n", r.does)
	}
}

// quoted writes names or values for a cell; nothing where there is none.
func quoted(values []string) string {
	if strings.Join(values, "") == "" {
		return ""
	}
	cells := make([]string, len(values))
	for i, v := range values {
		if cells[i] = "–"; v != "" {
			cells[i] = "`" + v + "`"
		}
	}
	return strings.Join(cells, ", ")
}
