package doctor

import (
	"context"
	"slices"
	"strings"

	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/services/auth"
)

// what each scope is for.
var scopeFor = map[string]string{
	threads.ScopeContentPublish: "publishing", threads.ScopeReadReplies: "finding out what became of a reply whose answer was lost",
	threads.ScopeManageReplies: "hiding and approving replies", threads.ScopeManageInsights: "insights", threads.ScopeDelete: "deleting",
}

func (e *examination) scopes(context.Context) {
	cfg, err := auth.ConfigFromEnv(e.getenv)
	if err != nil {
		return // settings has said so
	}
	var lacks []string
	for _, scope := range []string{threads.ScopeContentPublish, threads.ScopeReadReplies, threads.ScopeManageReplies, threads.ScopeManageInsights, threads.ScopeDelete} {
		if !slices.ContainsFunc(cfg.Scopes, func(s string) bool { return strings.TrimSpace(s) == scope }) {
			lacks = append(lacks, scope+" ("+scopeFor[scope]+")")
		}
	}
	if len(lacks) > 0 {
		e.say(Warning, "scopes", "THREADS_DEFAULT_SCOPES asks for fewer scopes than there is use for: without %s.", strings.Join(lacks, ", "))
		return
	}
	e.say(Well, "scopes", "People are asked for all that the product uses.")
}
