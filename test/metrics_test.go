package test

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

const (
	alertRules = "docs/prometheus/alerts.yaml"
	alertTests = "docs/prometheus/alerts_test.yaml"
	dashboard  = "docs/grafana/threads.json"
)

var (
	metricMade  = regexp.MustCompile(`(?s)prometheus\.(\w+)Opts\{\s*Name:\s*"(threads_\w+)".*?\}(?:, \[\]string\{([^}]*)\})?\)`)
	metricUsed  = regexp.MustCompile(`\bthreads_\w+`)
	metricLabel = regexp.MustCompile(`(threads_\w+)\{([^}]*)\}`)
	labelName   = regexp.MustCompile(`(\w+)(?:=~|!~|!=|=)`)
)

// metricsInCode are the metrics that the programs make, and their labels.
func metricsInCode(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	for _, dir := range []string{"cmd", "internal", "services"} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			source, err := os.ReadFile(path)
			for _, m := range metricMade.FindAllStringSubmatch(string(source), -1) {
				labels := strings.FieldsFunc(m[3], func(r rune) bool { return strings.ContainsRune(`", `, r) })
				if m[1] == "Histogram" {
					labels = append(labels, "le")
					for _, part := range []string{"_bucket", "_count", "_sum"} {
						found[m[2]+part] = labels
					}
				}
				found[m[2]] = labels
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(found) < 30 {
		t.Fatalf("only %d metrics are found in the code", len(found))
	}
	return found
}

type alertFile struct {
	Groups []struct {
		Rules []struct {
			Alert, Expr         string
			Labels, Annotations map[string]string
		}
	}
}

// expressions are those of the alerts and the dashboard, by where they are.
func expressions(t *testing.T) (all map[string]string, alerts []string) {
	t.Helper()
	all = map[string]string{}
	var rules alertFile
	if err := yaml.Unmarshal([]byte(fileOf(t, alertRules)), &rules); err != nil {
		t.Fatal(err)
	}
	for _, r := range rules.Groups[0].Rules {
		all[r.Alert] = r.Expr
		alerts = append(alerts, r.Alert)
		if severity := r.Labels["severity"]; severity != "page" && severity != "ticket" {
			t.Errorf("%s: the severity is %q", r.Alert, severity)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s does not say what it means", r.Alert)
		}
	}
	type box struct{ X, Y, W, H int }
	var board struct {
		Panels []struct {
			Title, Description, Type string
			GridPos                  box
			Targets                  []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(fileOf(t, dashboard)), &board); err != nil {
		t.Fatal(err)
	}
	taken := map[[2]int]string{}
	for _, p := range board.Panels {
		for i, target := range p.Targets {
			all[fmt.Sprintf("panel %s %d", p.Title, i)] = target.Expr
		}
		if p.Type != "row" && p.Description == "" {
			t.Errorf("the panel %s does not say what it shows", p.Title)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("the panel %s lies on %s, or beside the page", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
	if len(alerts) < 20 || len(all) < len(alerts)+25 {
		t.Errorf("%d alerts, %d expressions", len(alerts), len(all))
	}
	return all, alerts
}

func fileOf(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// Alerts and dashboard speak of metrics and labels that there are, and the page of operations of every alert and metric.
func TestAlertsAndDashboard(t *testing.T) {
	t.Parallel()
	inCode := metricsInCode(t)
	all, alerts := expressions(t)
	for where, expr := range all {
		for _, name := range metricUsed.FindAllString(expr, -1) {
			if _, there := inCode[name]; !there {
				t.Errorf("%s: there is no metric %s", where, name)
			}
		}
		for _, m := range metricLabel.FindAllStringSubmatch(expr, -1) {
			for _, label := range labelName.FindAllStringSubmatch(m[2], -1) {
				if !slices.Contains(inCode[m[1]], label[1]) {
					t.Errorf("%s: %s has no label %s", where, m[1], label[1])
				}
			}
		}
	}
	page := fileOf(t, "docs/operations.md")
	for _, alert := range alerts {
		if !strings.Contains(page, "| `"+alert+"` |") {
			t.Errorf("docs/operations.md does not say what to do about %s", alert)
		}
	}
	for name := range inCode {
		if strings.HasSuffix(name, "_bucket") || strings.HasSuffix(name, "_count") || strings.HasSuffix(name, "_sum") {
			continue
		}
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("docs/operations.md does not name the metric %s", name)
		}
	}
	for _, m := range regexp.MustCompile("`(threads_[a-z_]+)`").FindAllStringSubmatch(page, -1) {
		if _, there := inCode[m[1]]; !there {
			t.Errorf("docs/operations.md names the metric %s, which is not there", m[1])
		}
	}
	for _, m := range regexp.MustCompile("\\| `(Threads[A-Za-z]+)` \\|").FindAllStringSubmatch(page, -1) {
		if !slices.Contains(alerts, m[1]) {
			t.Errorf("docs/operations.md names the alert %s, which is not there", m[1])
		}
	}
}

// Prometheus' own tool takes every expression, and runs the tests of the alerts.
func TestAlertsInPromtool(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Skip("promtool is not installed; the alerts are not tried")
	}
	all, _ := expressions(t)
	type rule struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var rules []rule
	for i, where := range slices.Sorted(maps.Keys(all)) {
		rules = append(rules, rule{fmt.Sprintf("tried:%d", i), all[where]})
	}
	body, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "tried", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	tried := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(tried, body, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{{"check", "rules", tried}, {"check", "rules", alertRules}, {"test", "rules", alertTests}} {
		if out, err := exec.CommandContext(t.Context(), "promtool", words...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(words, " "), err, out)
		}
	}
}

// A system that has published shows it, and every metric of ours says what it is.
func TestSystemMetrics(t *testing.T) {
	t.Parallel()
	h := newSystem(t)
	h.start()
	h.connect()
	var post struct{ ID string }
	h.call(http.MethodPost, h.url("PORT")+"/api/threads/post", map[string]any{"text": "measured"}, &post)
	resp, err := http.Get(h.url("ADMIN_PORT") + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	page := string(body)
	for _, line := range []string{
		`threads_post_facts_total{fact="published"} 1`, `threads_publish_lateness_seconds_count{held="no",notice="short"} 1`,
		`threads_api_call_seconds_count{call="publish",outcome="ok"} 1`, `threads_connects_total{outcome="connected"} 1`,
		`threads_accounts{status="active"}`, `threads_posts_unsettled{state="parked"} 0`, `threads_quota_headroom{quota="posts"}`,
		`threads_consumer_pending{consumer="publisher-due"}`, `threads_dead_letters 0`, `threads_token_runway_seconds `,
	} {
		if !strings.Contains(page, "\n"+line) {
			t.Errorf("there is no %s", line)
		}
	}
	helped := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# HELP (threads_\w+) .{20,}$`).FindAllStringSubmatch(page, -1) {
		helped[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (threads_\w+) `).FindAllStringSubmatch(page, -1) {
		if !helped[m[1]] {
			t.Errorf("%s does not say what it is", m[1])
		}
	}
}
