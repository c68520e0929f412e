package publishertest

import (
	"net/url"
	"time"

	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/threadssim"
)

// AllScopes is everything that an account can allow.
var AllScopes = []string{
	threads.ScopeBasic, threads.ScopeContentPublish, threads.ScopeReadReplies, threads.ScopeManageReplies, threads.ScopeManageInsights,
	threads.ScopeDelete, threads.ScopeKeywordSearch, threads.ScopeManageMentions, threads.ScopeLocationTagging, threads.ScopeProfileDiscovery,
}

// ChainScopes let a chain's lost parts be looked for.
var ChainScopes = []string{threads.ScopeBasic, threads.ScopeContentPublish, threads.ScopeDelete, threads.ScopeReadReplies}

// Inject has Threads fail.
func (sys *System) Inject(f threadssim.Fault) {
	sys.T.Helper()
	if err := sys.Sim.Inject(f); err != nil {
		sys.T.Fatal(err)
	}
}

// Say lets a person post at Threads, past us, some time ago.
func (sys *System) Say(username, text string, ago time.Duration, params ...string) string {
	sys.T.Helper()
	if err := sys.Sim.SetClock(time.Now().Add(-ago)); err != nil {
		sys.T.Fatal(err)
	}
	form := url.Values{"text": {text}}
	for i := 0; i < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	id, _, err := sys.Sim.Say(username, form)
	if err != nil {
		sys.T.Fatal(err)
	}
	if err := sys.Sim.ResetClock(); err != nil {
		sys.T.Fatal(err)
	}
	return id
}

// Person adds somebody to Threads.
func (sys *System) Person(username string) {
	sys.T.Helper()
	if _, err := sys.Sim.AddPerson(threadssim.Person{Username: username}); err != nil {
		sys.T.Fatal(err)
	}
}
