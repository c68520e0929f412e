package probe_test

import (
	"net/netip"
	"testing"

	"github.com/omni-write/threads/internal/threads/probe"
)

func TestPublic(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"https://cdn.example.com/a.jpg": true, "http://93.184.215.14/a.jpg": true, "https://[2606:2800:220:1::1]/": true,
		"https://ünïcode.example/a": true, "https://localhost.example.com/": true,

		"http://localhost/a.jpg": false, "http://127.0.0.1/": false, "http://[::1]/": false, "http://10.1.2.3:8080/": false,
		"http://169.254.169.254/latest/meta-data/": false, "http://100.64.0.1/": false, "http://192.168.0.1/": false,
		"http://0.0.0.0/": false, "http://[::ffff:127.0.0.1]/": false, "http://[fe80::1%25eth0]/": false, "http://[64:ff9b::7f00:1]/": false,
		"http://127.1/": false, "http://2130706433/": false, "http://0x7f.0x1/": false, "http://0177.0.0.01/": false,
		"http://168.63.129.16/": false, "http://１２７．０．０．１/": false, "http://ⓛocalhost/": false, "http://db｡internal/": false, "http://a.ⓛan/": false,
		"http://postgres/": false, "http://db.internal/": false, "http://printer.local./": false, "http://LOCALHOST/": false,
		"": false, "https:///a.jpg": false, "::": false,
	} {
		if got := probe.Public(address, nil); got != want {
			t.Errorf("Public(%q) = %v", address, got)
		}
	}
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for address, want := range map[string]bool{"http://127.0.0.1:9099/a": true, "http://localhost/a": true, "http://10.0.0.1/": false, "http://127.1/": false} {
		if got := probe.Public(address, loopback); got != want {
			t.Errorf("with loopback allowed, Public(%q) = %v", address, got)
		}
	}
}
