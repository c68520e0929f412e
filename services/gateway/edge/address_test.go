package edge

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestAddressOf(t *testing.T) {
	t.Parallel()
	trusted := LimitsConfig{TrustedProxies: []string{"10.0.0.0/8", " 192.0.2.7", "2001:db8:1::/48"}}.trusted()
	if len(trusted) != 3 {
		t.Fatal(trusted)
	}
	for name, c := range map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"whoever connects":                        {"203.0.113.9:1234", nil, "203.0.113.9"},
		"a stranger may say what they like":       {"203.0.113.9:1234", []string{"198.51.100.1"}, "203.0.113.9"},
		"a trusted proxy is believed":             {"10.1.2.3:1234", []string{"198.51.100.1"}, "198.51.100.1"},
		"a chain of trusted proxies":              {"10.1.2.3:1234", []string{"198.51.100.1, 192.0.2.7, 10.9.9.9"}, "198.51.100.1"},
		"what the client made up is to the left":  {"10.1.2.3:1234", []string{"1.1.1.1, 198.51.100.1"}, "198.51.100.1"},
		"even the address of a proxy":             {"10.1.2.3:1234", []string{"10.0.0.1, 198.51.100.1"}, "198.51.100.1"},
		"headers in a row are one":                {"10.1.2.3:1234", []string{"1.1.1.1", "198.51.100.1"}, "198.51.100.1"},
		"with a port":                             {"10.1.2.3:1234", []string{"198.51.100.1:99"}, "198.51.100.1"},
		"of IPv6, with a port":                    {"10.1.2.3:1234", []string{"[2001:db8:2::9]:99"}, "2001:db8:2::/64"},
		"of IPv6, in brackets":                    {"10.1.2.3:1234", []string{"[2001:db8:2::9]"}, "2001:db8:2::/64"},
		"of IPv6, counted by its line":            {"[2001:db8:2:0:ffff::1]:1", nil, "2001:db8:2::/64"},
		"an IPv4 address in IPv6's clothes":       {"[::ffff:203.0.113.9]:1", nil, "203.0.113.9"},
		"a trusted proxy in IPv6's clothes":       {"[::ffff:10.1.2.3]:1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		"a zone makes no other address":           {"[2001:db8:1::5%eth0]:1", []string{"2001:db8:3::1%25"}, "2001:db8:3::/64"},
		"nonsense ends the chain":                 {"10.1.2.3:1234", []string{"198.51.100.1, unknown"}, "10.1.2.3"},
		"nothing from a trusted proxy":            {"10.1.2.3:1234", nil, "10.1.2.3"},
		"only trusted ones: the first of them":    {"10.1.2.3:1234", []string{"10.0.0.2"}, "10.0.0.2"},
		"an empty entry ends the chain":           {"10.1.2.3:1234", []string{"198.51.100.1,"}, "10.1.2.3"},
		"a network is not a trusted proxy's name": {"10.1.2.3:1234", []string{"10.0.0.0/8"}, "10.1.2.3"},
		"an address that nobody can know":         {"@", []string{"198.51.100.1"}, "invalid IP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = c.peer
			for _, f := range c.forwarded {
				r.Header.Add("X-Forwarded-For", f)
			}
			if got := clientKey(addressOf(r, trusted)); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}
