package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	settingTag = regexp.MustCompile("`env:\"([A-Z_0-9]+)[^\"]*\"(?: envDefault:\"([^\"]*)\")?")
	settingRow = regexp.MustCompile("(?m)^\\| (`[A-Z_0-9]+`(?:, `[A-Z_0-9]+`)*) \\|([^|]*)\\|")
	settingRef = regexp.MustCompile("`([^`]+)`")
)

// docs/operations.md names every setting that a service reads, with its default, and no other.
func TestSettingsAreDocumented(t *testing.T) {
	t.Parallel()
	inCode := map[string]string{}
	err := filepath.WalkDir("services", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range settingTag.FindAllStringSubmatch(string(source), -1) {
			inCode[m[1]] = m[2]
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n## Settings\n")
	documented := map[string]bool{}
	for _, row := range settingRow.FindAllStringSubmatch(table, -1) {
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
			t.Errorf("%s is not in docs/operations.md", name)
		}
	}
	if len(documented) < 50 {
		t.Errorf("the page has %d settings: the table was not found", len(documented))
	}
}
