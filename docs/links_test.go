package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link      = regexp.MustCompile(`\]\(([^)\s]*)\)`)
	heading   = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notInSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	// sourcePath is a file or folder of the repository, named in a text. One with a star or dots is a pattern.
	sourcePath = regexp.MustCompile("`((?:cmd|docs|events|internal|services|test)/[\\w./-]*)`")
)

// Links lead to files and headings that exist, and the paths that texts name are there.
func TestLinks(t *testing.T) {
	exists := func(path string) bool {
		_, err := os.Stat(path)
		return err == nil
	}
	found := 0
	for page, text := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			found++
			path, anchor, _ := strings.Cut(m[1], "#")
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), path)
			}
			switch {
			case !exists(target):
				t.Errorf("%s links to %s, which is not there", page, m[1])
			case anchor != "" && !anchors(read(t, target))[anchor]:
				t.Errorf("%s links to %s, which is no heading there", page, m[1])
			}
		}
		for _, m := range sourcePath.FindAllStringSubmatch(text, -1) {
			if !exists(filepath.Join("..", m[1])) {
				t.Errorf("%s names %s, which is not there", page, m[1])
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d links: the pages were not found", found)
	}
}

// anchors are the headings of a page as a link names them.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		found[strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return found
}
