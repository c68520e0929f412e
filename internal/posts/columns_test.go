package posts

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Whoever adds a column says whether an event carries it, or whether it belongs to one revision.
func TestEveryColumnHasItsPlace(t *testing.T) {
	t.Parallel()
	listed := slices.Concat(identityColumns, contentColumns, outcomeColumns, progressColumns, turnColumns, triedColumns, traceColumns)
	post := reflect.TypeFor[Post]()
	for i := range post.NumField() {
		name, _, _ := strings.Cut(post.Field(i).Tag.Get("bun"), ",")
		if name == "" || name == "-" || post.Field(i).Anonymous {
			continue
		}
		if n := len(slices.DeleteFunc(slices.Clone(listed), func(c string) bool { return c != name })); n != 1 {
			t.Errorf("column %s is in %d lists of columns.go", name, n)
		}
		listed = slices.DeleteFunc(listed, func(c string) bool { return c == name })
	}
	if len(listed) > 0 {
		t.Errorf("no such columns: %v", listed)
	}
}
