package doctor

import (
	"context"
	"net/url"
)

// callback is the path that Threads must send browsers back to.
const callback = "/api/auth/threads/callback"

// addresses looks whether the addresses agree with each other: a redirect URI that is a letter off loses every connect.
func (e *examination) addresses(context.Context) {
	redirect := e.getenv("THREADS_REDIRECT_URI")
	u, err := url.Parse(redirect)
	switch {
	case redirect == "" || err != nil || u.Host == "":
		return // settings has said so
	case u.Path != callback:
		e.say(Wrong, "addresses", "THREADS_REDIRECT_URI ends in %q; the gateway answers at %s.", u.Path, callback)
	case u.Scheme != "https" && !isLocal(u.Hostname()):
		e.say(Wrong, "addresses", "THREADS_REDIRECT_URI is http; Threads takes https, but for a machine of one's own.")
	default:
		e.say(Well, "addresses", "Threads sends browsers back to %s; the app's dashboard must have it to the letter.", redirect)
	}
	if public, err := url.Parse(e.getenv("PUBLIC_URL")); err == nil && public.Host != "" && public.Host != u.Host {
		e.say(Warning, "addresses", "PUBLIC_URL is on %s and THREADS_REDIRECT_URI on %s: the cookie of a connect is lost between two hosts.", public.Host, u.Host)
	}
}

func isLocal(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }
