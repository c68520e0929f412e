package boot

import (
	"os"
	"path/filepath"
	"testing"
)

func TestContainerMemory(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "memory.max")
	for text, want := range map[string]int64{"536870912\n": 512 << 20, "max\n": 0, "": 0, "0\n": 0, "9223372036854771712\n": 0} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, ok := containerMemory(file); ok != (want > 0) || ok && got != want {
			t.Errorf("%q is %d, %v", text, got, ok)
		}
	}
	if _, ok := containerMemory(file + ".none"); ok {
		t.Error("a limit from no file")
	}
}
