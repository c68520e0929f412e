package standalone

import "testing"

// What others can reach is not private, whichever setting says so.
func TestIsPrivate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env  map[string]string
		want bool
	}{
		"at home":                  {map[string]string{"HOST": "127.0.0.1", "PUBLIC_URL": "http://localhost:3000"}, true},
		"at home, over IPv6":       {map[string]string{"HOST": "::1", "PUBLIC_URL": "http://[::1]:3000"}, true},
		"all interfaces":           {map[string]string{"HOST": "0.0.0.0", "PUBLIC_URL": "http://localhost:3000"}, false},
		"an address of a network":  {map[string]string{"HOST": "192.0.2.1"}, false},
		"a name":                   {map[string]string{"HOST": "example.com"}, false},
		"behind a proxy":           {map[string]string{"HOST": "127.0.0.1", "PUBLIC_URL": "https://api.example.com"}, false},
		"behind a tunnel":          {map[string]string{"HOST": "127.0.0.1", "THREADS_REDIRECT_URI": "https://x.example.com/api/auth/threads/callback"}, false},
		"a name that begins alike": {map[string]string{"HOST": "localhost", "PUBLIC_URL": "https://localhost.example.com"}, false},
	} {
		sys := &System{env: map[string]string{}, outer: func(name string) string { return c.env[name] }}
		if got := sys.isPrivate(); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
