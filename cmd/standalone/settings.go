package standalone

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/omni-write/threads/cmd/boot"
	"github.com/omni-write/threads/cmd/standalone/issuer"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// checkSettings holds all settings against their rules before anything is started or written, as far as they do not depend on
// what starts.
func (sys *System) checkSettings(ctx context.Context) error {
	if err := sys.checkHost(); err != nil {
		return err
	}
	if err := errors.Join(checkPorts(ctx, sys.outer)...); err != nil {
		return err
	}
	later := &System{outer: sys.outer, env: map[string]string{}}
	later.addressGateway(gatewayPort.usual)
	if sys.outer("AUTH_ISSUER") == "" {
		later.addressIssuer(issuerPort.usually())
	}
	if !sys.ownThreads() {
		later.addressSimulator(simulatorPort.usually())
		later.set("THREADS_APP_SECRET", "made later")
	}
	return boot.CheckSettings(later.getenv)
}

// checkHost keeps dev tokens on this machine: anyone on it can have one for any user.
func (sys *System) checkHost() error {
	host := sys.outer("HOST")
	if onThisMachine(host) || sys.outer("AUTH_ISSUER") != "" {
		return nil
	}
	return fmt.Errorf("HOST=%s opens the gateway to others, while tokens come from the issuer of this machine, which gives anybody on it one for "+
		"any user; set AUTH_ISSUER to an issuer of your own, or leave HOST out", host)
}

// ownThreads says whether the user brought an app or an address of their own, so that no simulator is started.
func (sys *System) ownThreads() bool {
	return sys.outer("THREADS_APP_ID") != "" || sys.outer("THREADS_API_URL") != ""
}

// addressGateway gives the settings that follow from the gateway's port.
func (sys *System) addressGateway(port int) {
	base := fmt.Sprintf("http://localhost:%d", port)
	sys.env["PORT"] = fmt.Sprint(port)
	sys.set("HOST", loopback)
	sys.set("PUBLIC_URL", base)
	sys.set("THREADS_REDIRECT_URI", base+"/api/auth/threads/callback")
	sys.set("CORS_ORIGINS", frontend)
	if sys.isPrivate() { // who tries webhooks at home has their server here
		sys.set("WEBHOOKS_ALLOW_LOOPBACK", "true")
	}
	sys.Endpoints.GatewayURL = base
	if sys.outer("AUTH_ISSUER") != "" { // whose tokens we have none of: the page that ends a connection here needs one
		sys.set("THREADS_SUCCESS_REDIRECT_URI", frontend+frontendPath)
		sys.set("THREADS_FAILURE_REDIRECT_URI", frontend+frontendPath+"?error=threads_oauth_failed")
	}
}

// addressIssuer gives the settings that follow from where the issuer of dev tokens is. Pages for people are at the name that the
// gateway has too, so that a browser takes the two for one site.
func (sys *System) addressIssuer(address string) {
	sys.set("AUTH_ISSUER", address)
	sys.set("CONSOLE_CLIENT_ID", issuer.Client)
	pages := strings.Replace(address, loopback, "localhost", 1)
	sys.Endpoints.ConnectURL = pages + connectPath
	sys.set("THREADS_SUCCESS_REDIRECT_URI", pages+connectedPath)
	sys.set("THREADS_FAILURE_REDIRECT_URI", pages+connectedPath+"?error=threads_oauth_failed")
}

// addressSimulator gives the settings that follow from where the simulated Threads is.
func (sys *System) addressSimulator(address string) {
	sys.Endpoints.SimulatorURL = address
	sys.set("THREADS_APP_ID", threadssim.DefaultAppID)
	sys.set("THREADS_API_URL", address)
	sys.set("THREADS_AUTHORIZE_URL", address+"/oauth/authorize")
	if sys.dir != "" {
		sys.set("THREADS_APP_SECRET_FILE", filepath.Join(sys.dir, appSecretFile))
	}
}
