package rig

import (
	"net/http/httptest"

	"github.com/omni-write/threads/cmd/standalone/issuer"
)

// ServeIssuer serves an issuer of tokens, on this machine only, until stop is called.
func ServeIssuer() (_ *issuer.Issuer, stop func(), err error) {
	server := httptest.NewUnstartedServer(nil)
	people, err := issuer.New("http://" + server.Listener.Addr().String())
	if err != nil {
		_ = server.Listener.Close()
		return nil, nil, err
	}
	server.Config.Handler = people.Handler()
	server.Start()
	return people, server.Close, nil
}
