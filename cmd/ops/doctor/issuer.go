package doctor

import (
	"context"
	"strings"

	"github.com/omni-write/threads/services/gateway"
	"github.com/omni-write/threads/services/gateway/signin"
)

// issuer reads the keys of the issuer of bearer tokens, as the gateway does, and compares the name that it gives itself.
func (e *examination) issuer(ctx context.Context) {
	cfg, _ := gateway.ConfigFromEnv(e.getenv) // what is wrong with the settings, settings has said
	if cfg.AuthIssuer == "" {
		return
	}
	found, err := signin.LookAt(ctx, cfg.AuthIssuer, cfg.AuthJWKSURL)
	switch {
	case err != nil:
		e.say(Wrong, "issuer", "The issuer's keys cannot be had at %s: %s", found.KeysAt, oneLine(err))
	case found.Name != "" && found.Name != cfg.AuthIssuer:
		e.say(Wrong, "issuer", "The issuer calls itself %s, and AUTH_ISSUER is %s: every token would be refused. Set AUTH_ISSUER to what it calls itself, to the letter.",
			found.Name, cfg.AuthIssuer)
	case found.Name == "" && strings.HasSuffix(cfg.AuthIssuer, "/"):
		e.say(Warning, "issuer", "The issuer's keys are at %s, but it does not say what it calls itself, and AUTH_ISSUER ends in a slash: is that so in the `iss` of its tokens?", found.KeysAt)
	default:
		e.say(Well, "issuer", "The issuer's keys are at %s.", found.KeysAt)
	}
}
