package wire

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestEncode(t *testing.T) {
	t.Parallel()
	type message struct {
		Text string          `json:"text"`
		Raw  json.RawMessage `json:"raw,omitempty"`
	}
	for _, text := range []string{"", "plain words", "日本語 and \"quotes\"\n", "a \u2028 line", "\x01"} {
		want, _ := json.Marshal(message{Text: text})
		got, err := Encode(message{Text: text})
		if err != nil || string(got) != string(want) {
			t.Errorf("%q is written %s, %v; json.Marshal writes %s", text, got, err, want)
		}
	}
	m := message{Text: "<&>", Raw: json.RawMessage(`{"a":"<&>"}`)}
	got, err := Encode(m)
	if want := `{"text":"<&>","raw":{"a":"<&>"}}`; err != nil || string(got) != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
	var back message
	if err := json.Unmarshal(got, &back); err != nil || !reflect.DeepEqual(back, m) {
		t.Errorf("it is read back as %+v, %v", back, err)
	}
	if _, err := Encode(func() {}); err == nil {
		t.Error("what JSON cannot write is no error")
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ items, most, fit int }{{0, 10, 0}, {3, 12, 3}, {3, 11, 2}, {3, 4, 1}, {3, 1, 1}} {
		items := []string{"a", "b", "c"}[:c.items] // four bytes each, with the comma
		if n, bytes, err := Fit(items, c.most); n != c.fit || bytes != 4*n || err != nil {
			t.Errorf("of %d items %d fit into %d bytes, with %d (%v), want %d", c.items, n, c.most, bytes, err, c.fit)
		}
	}
}
