package doctor

import (
	"context"
	"strings"

	"github.com/omni-write/threads/services/auth"
	"github.com/omni-write/threads/services/gateway"
	"github.com/omni-write/threads/services/publisher"
	"github.com/omni-write/threads/services/tokenkeeper"
)

// settings reads the settings of each service as it would itself.
func (e *examination) settings(context.Context) {
	e.sayEach(Wrong, "settings", "%s", e.unread)
	var publishing publisher.Config
	for _, s := range []struct {
		name string
		read func(func(string) string) error
	}{
		{"gateway", func(env func(string) string) error { _, err := gateway.ConfigFromEnv(env); return err }},
		{"auth", func(env func(string) string) error { _, err := auth.ConfigFromEnv(env); return err }},
		{"publisher", func(env func(string) string) (err error) { publishing, err = publisher.ConfigFromEnv(env); return err }},
		{"tokenkeeper", func(env func(string) string) error { _, err := tokenkeeper.ConfigFromEnv(env); return err }},
	} {
		if err := s.read(e.getenv); err != nil {
			e.sayEach(Wrong, "settings", "The settings of "+s.name+" would not do here: %s", err)
			continue
		}
		e.say(Well, "settings", "The settings of %s are complete.", s.name)
	}
	for _, missing := range leaves(e.common.Missing()) {
		if e.unread == nil || !strings.Contains(e.unread.Error(), settingIn(missing)) { // it is set, and why it cannot be read stands above
			e.say(Wrong, "settings", "%s", oneLine(missing))
		}
	}
	for _, short := range publishing.UnderFloor() {
		e.say(Wrong, "settings", "%s is shorter than is safe with Threads: a post could go out twice. Take its default, or its floor in docs/settings.md.", short)
	}
	for _, short := range publishing.Webhooks.UnderFloor() {
		e.say(Warning, "settings", "%s is shorter than webhooks should have it; docs/settings.md has its default.", short)
	}
}

// settingIn is the setting that a sentence of missing settings begins with.
func settingIn(err error) string {
	name, _, _ := strings.Cut(err.Error(), " ")
	return name
}
