package webhooks

import (
	"net/http"
	"strings"
	"testing"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	strict, loose := newAddressRules(false), newAddressRules(true)
	for address, may := range map[string][2]bool{ // without and with loopback
		"https://hooks.example.com/x?y=z":                  {true, true},
		"https://hooks.example.com:8443/":                  {true, true},
		"https://hooks.example.com:22/":                    {false, false},
		"http://hooks.example.com/":                        {false, false},
		"https://u:p@hooks.example.com/":                   {false, false},
		"https://hooks.example.com/#a":                     {false, false},
		"https://10.0.0.1/":                                {false, false},
		"https://169.254.169.254/":                         {false, false},
		"https://[fd00::1]/":                               {false, false},
		"https://[::ffff:10.0.0.1]/":                       {false, false},
		"https://0.0.0.0/":                                 {false, false},
		"https://168.63.129.16/":                           {false, false},
		"https://１０．０．０．１/":                                {false, false},
		"https://ⓛocalhost/":                               {false, true},
		"https://127.0.0.1/":                               {false, true},
		"http://localhost:9999/":                           {false, true},
		"https://LOCALHOST./":                              {false, true},
		"ftp://hooks.example.com/":                         {false, false},
		"https:///x":                                       {false, false},
		"hooks.example.com":                                {false, false},
		"":                                                 {false, false},
		"https://a.example/" + strings.Repeat("x", maxURL): {false, false},
	} {
		if got := strict.check(address); (got == "") != may[0] {
			t.Errorf("%.60q: %q", address, got)
		}
		if got := loose.check(address); (got == "") != may[1] {
			t.Errorf("%.60q, with loopback: %q", address, got)
		}
	}
}

// The address that is dialed is checked, not the name.
func TestPrivateAddressesAreNotCalled(t *testing.T) {
	sys := setup(t)
	inside := receive(t, nil)
	sys.cfg.AllowLoopback = false
	s := sys.service()
	for _, address := range []string{
		strings.Replace(inside.URL, "127.0.0.1", "localhost", 1), inside.URL, "https://localhost:8443/", "http://[::1]:80/", "https://169.254.169.254/",
	} {
		a, err := s.send(t.Context(), &claimed{delivery: delivery{EventID: "evt_1", Payload: []byte("{}")}, URL: address}, []string{newSecret()})
		if err != nil || a.status != 0 || !strings.Contains(a.message, "public internet") {
			t.Errorf("%s: %+v, %v", address, a, err)
		}
	}
	inside.wantNone(t)

	t.Run("and a redirect is not followed", func(t *testing.T) {
		sys.cfg.AllowLoopback = true
		target := receive(t, nil)
		from := receive(t, func(_ int, rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, target.URL, http.StatusTemporaryRedirect)
		})
		a, err := sys.service().send(t.Context(), &claimed{delivery: delivery{EventID: "evt_1", Payload: []byte("{}")}, URL: from.URL}, []string{newSecret()})
		if err != nil || a.ok() || a.status != http.StatusTemporaryRedirect {
			t.Errorf("%+v, %v", a, err)
		}
		target.wantNone(t)
	})

	t.Run("and an answer without end is not read to its end", func(t *testing.T) {
		endless := receive(t, func(_ int, rw http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := rw.Write(make([]byte, 32<<10)); err != nil {
					return
				}
			}
		})
		a, err := sys.service().send(t.Context(), &claimed{delivery: delivery{EventID: "evt_1", Payload: []byte("{}")}, URL: endless.URL}, []string{newSecret()})
		if err != nil || !a.ok() { // read to its end it would have ended with the time limit, which is no success
			t.Errorf("%+v, %v", a, err)
		}
	})
}
