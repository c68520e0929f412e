package test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/omni-write/threads/internal/threads"
)

// The limits that the API's description tells are those of the rules.
func TestDescribedLimits(t *testing.T) {
	t.Parallel()
	type property struct {
		MaxLength, MaxItems int
		Enum                []any
		Items               struct{ MaxLength int }
	}
	var doc struct {
		Components struct {
			Schemas map[string]struct{ Properties map[string]property }
		}
	}
	if err := json.Unmarshal([]byte(fileOf(t, "services/gateway/openapi.json")), &doc); err != nil {
		t.Fatal(err)
	}
	is := func(what string, got, want int) {
		t.Helper()
		if got != want {
			t.Errorf("%s is %d in the description, %d in the rules", what, got, want)
		}
	}
	for _, name := range []string{"Draft", "ScheduledDraft", "Trial", "Edit"} {
		of := doc.Components.Schemas[name].Properties
		is(name+".text", of["text"].MaxLength, threads.MaxText)
		is(name+".media", of["media"].MaxItems, threads.MaxChildren)
		is(name+".topicTag", of["topicTag"].MaxLength, threads.MaxTopicTag)
		is(name+".linkAttachment", of["linkAttachment"].MaxLength, threads.MaxMediaURL)
		is(name+".poll", of["poll"].MaxItems, threads.MaxPollOptions)
		is(name+".poll's answers", of["poll"].Items.MaxLength, threads.MaxPollOption)
		is(name+".spoilers", of["spoilers"].MaxItems, threads.MaxSpoilers)
		controls := slices.DeleteFunc(of["replyControl"].Enum, func(w any) bool { return w == nil })
		if len(controls) != len(threads.ReplyControls) {
			t.Errorf("%s.replyControl is %v", name, controls)
		}
		for _, word := range threads.ReplyControls {
			if !slices.Contains(controls, any(word)) {
				t.Errorf("%s.replyControl is not %s", name, word)
			}
		}
	}
	media := doc.Components.Schemas["MediaInput"].Properties
	is("altText", media["altText"].MaxLength, threads.MaxAltText)
	is("the address of media", media["url"].MaxLength, threads.MaxMediaURL)
}
