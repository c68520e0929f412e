package events

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// The AsyncAPI document is made from the registry, like the schemas: go test ./events -update.

type anyMap = map[string]any

type asyncAPI struct {
	AsyncAPI           string `yaml:"asyncapi"`
	ID                 string `yaml:"id"`
	Info               anyMap `yaml:"info"`
	DefaultContentType string `yaml:"defaultContentType"`
	Servers            anyMap `yaml:"servers"`
	Channels           anyMap `yaml:"channels"`
	Operations         anyMap `yaml:"operations"`
	Components         anyMap `yaml:"components"`
}

const asyncAPIHead = "# Made from the Go types of this package by go test ./events -update. docs/events.md explains it.\n"

func document(t *testing.T) []byte {
	t.Helper()
	source := readSource(t)
	d := asyncAPI{
		AsyncAPI: "3.0.0", ID: "urn:omni-write:threads", DefaultContentType: "application/json",
		Info: anyMap{
			"title": "Omni Write · Threads", "version": "1.0.0",
			"description": "Facts about posts and accounts (stream " + StreamEvents + "), and the commands that lead to them (stream " +
				StreamCommands + "). Facts are for everybody; commands come from the gateway.",
		},
		Servers:  anyMap{"nats": anyMap{"host": "nats:4222", "protocol": "nats", "description": "NATS with JetStream."}},
		Channels: anyMap{}, Operations: anyMap{},
		Components: anyMap{
			"messages":      anyMap{},
			"messageTraits": anyMap{"cloudEvent": anyMap{"headers": headersSchema()}},
			"parameters": anyMap{
				"account": anyMap{"description": "Our id of the account: acct_…"},
				"post":    anyMap{"description": "Our id of the post: post_…"},
			},
		},
	}
	for _, msg := range All() {
		typ := msg.Type()
		schema := source.reflector.ReflectFromType(reflect.TypeOf(msg))
		name := strings.TrimSuffix(strings.ReplaceAll(typ, ".", "_"), "_v1")
		message := anyMap{
			"name": typ, "title": reflect.TypeOf(msg).Name(), "contentType": "application/json",
			"traits":  []any{anyMap{"$ref": "#/components/messageTraits/cloudEvent"}},
			"payload": anyMap{"$ref": "./schemas/" + typ + ".json"},
		}
		if ev, ok := msg.(PostEvent); ok {
			message["summary"] = source.said[string(ev.Fact())]
		} else if schema.Description != "" {
			message["summary"] = schema.Description
		}
		d.Components["messages"].(anyMap)[name] = message
		address, parameters := addressOf(msg)
		channel := anyMap{"address": address, "messages": anyMap{name: anyMap{"$ref": "#/components/messages/" + name}}}
		if len(parameters) > 0 {
			channel["parameters"] = parameters
		}
		d.Channels[name] = channel
		operation := anyMap{"action": "receive", "channel": anyMap{"$ref": "#/channels/" + name},
			"messages": []any{anyMap{"$ref": "#/channels/" + name + "/messages/" + name}}}
		if _, fact := msg.(Event); fact {
			operation["action"] = "send" // seen from this system: it emits
		}
		d.Operations[name] = operation
	}
	var b bytes.Buffer
	b.WriteString(asyncAPIHead)
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(d); err != nil {
		t.Fatal(err)
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// addressOf is the subject of a message with its ids as parameters: an empty message has empty words for them.
func addressOf(msg Message) (string, anyMap) {
	words := strings.Split(msg.Subject(), ".")
	parameters := anyMap{}
	names := []string{"account", "post"}
	for i, word := range words {
		if word == "" {
			parameters[names[0]] = anyMap{"$ref": "#/components/parameters/" + names[0]}
			words[i], names = "{"+names[0]+"}", names[1:]
		}
	}
	return strings.Join(words, "."), parameters
}

func headersSchema() anyMap {
	text := func(description string) anyMap { return anyMap{"type": "string", "description": description} }
	version := text("The version of CloudEvents.")
	version["const"] = "1.0"
	at := text("When it was sent.")
	at["format"] = "date-time"
	return anyMap{
		"type":     "object",
		"required": []string{HeaderSpecVersion, HeaderID, HeaderType, HeaderSource, HeaderTime, HeaderContentType, HeaderDataSchema},
		"properties": anyMap{
			HeaderSpecVersion: version, HeaderTime: at,
			HeaderID:          text("The same whenever the same fact is told again: drop repeats by it."),
			HeaderType:        text("The wire name of the message."),
			HeaderSource:      text("Always " + Source + "."),
			HeaderContentType: text("The form of the body."),
			HeaderSubject:     text("The post or account that it is about."),
			HeaderDataSchema:  text("Where the schema of the body is."),
			HeaderCorrelation: text("The HTTP request that started it all."),
			HeaderCausation:   text("The message that led to this one."),
			HeaderTraceParent: text("W3C trace context."),
			HeaderReplay:      text("The replay that tells it again. Whoever acts on facts leaves it alone."),
		},
	}
}

func TestAsyncAPI(t *testing.T) {
	t.Parallel()
	sameFile(t, "asyncapi.yaml", document(t))
	b, err := os.ReadFile("asyncapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var d anyMap
	if err := yaml.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	if d["asyncapi"] != "3.0.0" {
		t.Errorf("it is of version %v", d["asyncapi"])
	}
	// Every reference leads somewhere, every channel and message is used, and every message of the registry is in it.
	refs := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case anyMap:
			if ref, ok := v["$ref"].(string); ok {
				refs[ref] = true
				if file, local := strings.CutPrefix(ref, "./"); local {
					if _, err := os.Stat(filepath.FromSlash(file)); err != nil {
						t.Errorf("%s is not there", ref)
					}
				} else if resolve(d, ref) == nil {
					t.Errorf("%s leads nowhere", ref)
				}
			}
			for _, one := range v {
				walk(one)
			}
		case []any:
			for _, one := range v {
				walk(one)
			}
		}
	}
	walk(d)
	sends := 0
	for _, msg := range All() {
		if !refs["./schemas/"+msg.Type()+".json"] {
			t.Errorf("%s is not in it", msg.Type())
		}
		if _, fact := msg.(Event); fact {
			sends++
		}
	}
	for name := range objectOf(d["channels"]) {
		if !refs["#/channels/"+name] {
			t.Errorf("no operation uses channel %s", name)
		}
	}
	if n := bytes.Count(b, []byte("action: send")); n != sends {
		t.Errorf("%d facts are sent, of %d", n, sends)
	}
	for _, address := range []string{"address: threads.evt.post.{account}.{post}.published", "address: threads.evt.account.{account}.connected", "address: threads.cmd.post.schedule"} {
		if !bytes.Contains(b, []byte(address+"\n")) {
			t.Errorf("there is no %s", address)
		}
	}
}

// resolve follows a reference within a document.
func resolve(d anyMap, ref string) any {
	var at any = d
	for _, word := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
		at = objectOf(at)[word]
	}
	return at
}
