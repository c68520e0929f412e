package dial_test

import (
	"testing"

	"code.dny.dev/ssrf"

	"github.com/omni-write/threads/internal/dial"
)

func TestPublic(t *testing.T) {
	t.Parallel()
	for address, may := range map[string]bool{
		"93.184.216.34:443": true, "168.63.129.17:443": true,
		"168.63.129.16:80": false, "168.63.129.16:443": false, "169.254.169.254:80": false, "10.0.0.1:443": false, "127.0.0.1:443": false,
	} {
		for _, public := range []*ssrf.Guardian{dial.Public(), dial.Public(ssrf.WithPorts(80, 443))} {
			if err := public.Safe("tcp4", address, nil); (err == nil) != may {
				t.Errorf("%s: %v", address, err)
			}
		}
	}
	// As an address of the other family it leads to the same.
	if err := dial.Public().Safe("tcp6", "[::ffff:168.63.129.16]:80", nil); err == nil {
		t.Error("the mapped form passes")
	}
}

func TestHost(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Example.COM.": "example.com", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ": "localhost", "１２７．０．０．１": "127.0.0.1", "127。0。0。1": "127.0.0.1",
		"metadata．google．internal": "metadata.google.internal", "ｌocalhost｡": "localhost",
	} {
		if is := dial.Host(name); is != want {
			t.Errorf("%s: %s", name, is)
		}
	}
}
