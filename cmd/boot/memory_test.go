package boot

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for name, c := range map[string]struct{ living, most, want int64 }{
		"as it starts":                   {0, unbounded, 160 * mib},
		"small":                          {106 * mib, unbounded, 160 * mib},
		"half of what lives stays free":  {200 * mib, unbounded, 304 * mib},
		"not more than its container":    {200 * mib, 288 * mib, 288 * mib},
		"in a container that is smaller": {10 * mib, 115 * mib, 115 * mib},
	} {
		if got := memoryLimit(c.living, c.most); got != c.want {
			t.Errorf("%s: %d MiB, want %d", name, got/mib, c.want/mib)
		}
	}
	held := make([]byte, 8*mib)
	runtime.GC()
	if got := living(); got < 8*mib {
		t.Errorf("%d bytes live, %d of them here", got, len(held))
	}
	runtime.KeepAlive(held)
}

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
