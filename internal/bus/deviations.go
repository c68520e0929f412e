package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/omni-write/threads/events"
)

// Deviation is a stream or durable, or one setting of it, that is not as [Declare] makes it.
type Deviation struct {
	Of      string // "stream EVENTS", "durable publisher-due"
	Setting string // as NATS calls it; empty: all of it is missing, or cannot be read
	Is      string // what it is set to
	Must    string // what Declare would set it to
	Err     error  // why it cannot be read, or what [Verify] says of it: services do not start
}

func (d Deviation) String() string {
	switch {
	case d.Setting == "" && d.Err != nil:
		return d.Err.Error()
	case d.Is == "":
		return fmt.Sprintf("%s lacks %s, which this version sets to %s", d.Of, d.Setting, d.Must)
	case d.Must == "":
		return fmt.Sprintf("%s has %s %s, which this version does not set", d.Of, d.Setting, d.Is)
	}
	return fmt.Sprintf("%s has %s %s, and not %s", d.Of, d.Setting, d.Is, d.Must)
}

// Deviations compares every setting of every stream and durable with what Declare makes them, and goes on after each. It changes nothing.
func Deviations(ctx context.Context, b *Bus, t Topology) (all []Deviation) {
	t.Replicas = max(t.Replicas, 1)
	for _, must := range events.Streams(t.Replicas, t.EventsMaxAge) {
		of := "stream " + must.Name
		s, err := patiently(ctx, b, func(ctx context.Context) (jetstream.Stream, error) { return b.js.Stream(ctx, must.Name) })
		if err != nil {
			all = append(all, Deviation{Of: of, Err: unverified("stream", must.Name, err, jetstream.ErrStreamNotFound)})
			continue
		}
		all = append(all, compare(of, s.CachedInfo().Config, must, Verify(ctx, b, []string{must.Name}, nil))...)
	}
	for _, d := range events.Durables() {
		of := "durable " + d.Config.Durable
		c, err := patiently(ctx, b, func(ctx context.Context) (jetstream.Consumer, error) {
			return b.js.Consumer(ctx, d.Stream, d.Config.Durable)
		})
		if err != nil {
			all = append(all, Deviation{Of: of, Err: unverified("durable", d.Config.Durable, err, jetstream.ErrConsumerNotFound)})
			continue
		}
		d.Config.Replicas = t.Replicas
		all = append(all, compare(of, c.CachedInfo().Config, d.Config, Verify(ctx, b, nil, []string{d.Config.Durable}))...)
	}
	return all
}

// compare names each setting that differs. stops is why services do not start with it.
func compare(of string, is, must any, stops error) (all []Deviation) {
	has, wants := settingsOf(is), settingsOf(must)
	names := slices.Sorted(maps.Keys(has))
	for name := range wants {
		if _, ok := has[name]; !ok {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if !reflect.DeepEqual(has[name], wants[name]) && !byServer(name, wants[name]) {
			all = append(all, Deviation{Of: of, Setting: name, Is: shown(name, has[name]), Must: shown(name, wants[name]), Err: stops})
		}
	}
	if stops != nil && len(all) == 0 {
		all = append(all, Deviation{Of: of, Err: stops})
	}
	return all
}

// byServer says whether a server sets that by itself where nothing is asked for.
func byServer(name string, must any) bool {
	return must == nil && slices.Contains([]string{"duplicate_window", "max_waiting", "replay_policy", "deliver_policy", "name"}, name)
}

// settingsOf are the settings that say something, by the names that NATS and its tools give them. Nothing and -1 are both no limit.
func settingsOf(config any) map[string]any {
	text, err := json.Marshal(config)
	settings := map[string]any{}
	if err = errors.Join(err, json.Unmarshal(text, &settings)); err != nil {
		panic(err) // it came from JSON, or is ours
	}
	for _, list := range []string{"subjects", "filter_subjects"} {
		if several, ok := settings[list].([]any); ok {
			slices.SortFunc(several, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
	}
	if one, ok := settings["filter_subject"].(string); ok && one != "" { // one filter may be written in two ways
		settings["filter_subjects"] = []any{one}
	}
	delete(settings, "filter_subject")
	if metadata, ok := settings["metadata"].(map[string]any); ok {
		maps.DeleteFunc(metadata, func(key string, _ any) bool { return strings.HasPrefix(key, "_nats.") }) // the server's own
	}
	maps.DeleteFunc(settings, func(_ string, v any) bool {
		value := reflect.ValueOf(v)
		return v == nil || v == float64(-1) || v == "none" || value.IsZero() ||
			(value.Kind() == reflect.Map || value.Kind() == reflect.Slice) && value.Len() == 0
	})
	return settings
}

func shown(name string, v any) string {
	if v == nil {
		return ""
	}
	if n, ok := v.(float64); ok && slices.Contains([]string{"max_age", "duplicate_window", "ack_wait", "inactive_threshold"}, name) {
		return time.Duration(n).String()
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
