package threads

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"
)

func TestIDKeepsEveryDigit(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]id{
		`17841405793187219`:   "17841405793187219", // one a float rounds to …220
		`"17841405793187219"`: "17841405793187219",
		`null`:                "",
	} {
		var got id
		if err := json.Unmarshal([]byte(in), &got); err != nil || got != want {
			t.Errorf("%s: got %q, %v", in, got, err)
		}
	}
	for _, in := range []string{`1.7841405793187218e+16`, `-1`, `true`, `{}`} {
		var got id
		if err := json.Unmarshal([]byte(in), &got); err == nil {
			t.Errorf("%s: got %q, want an error", in, got)
		}
	}
}

func TestTimestamp(t *testing.T) {
	t.Parallel()
	want := time.Date(2026, 5, 4, 10, 15, 30, 0, time.UTC)
	for _, in := range []string{`"2026-05-04T10:15:30+0000"`, `"2026-05-04T12:15:30+02:00"`, `"2026-05-04T10:15:30Z"`} {
		var got timestamp
		if err := json.Unmarshal([]byte(in), &got); err != nil || !time.Time(got).Equal(want) {
			t.Errorf("%s: got %v, %v", in, time.Time(got), err)
		}
	}
}

func TestParseRefusal(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		body   string
		want   *refusal
	}{
		"success":             {200, `{"id":"1"}`, nil},
		"a failed container":  {200, `{"id":"1","status":"ERROR","error_message":"UNKNOWN"}`, nil},
		"graph":               {400, `{"error":{"message":"m","code":24,"error_subcode":4279009,"fbtrace_id":"A"}}`, &refusal{status: 400, code: 24, subcode: 4279009, message: "m", traceID: "A"}},
		"graph with HTTP 200": {200, `{"error":{"message":"m","code":2}}`, &refusal{status: 200, code: 2, message: "m"}},
		"quoted codes":        {400, `{"error":{"code":"100","error_subcode":"33"}}`, &refusal{status: 400, code: 100, subcode: 33}},
		"a name for a code":   {400, `{"error":{"code":"THREADS_API__LINK_LIMIT_EXCEEDED"}}`, &refusal{status: 400, name: "THREADS_API__LINK_LIMIT_EXCEEDED"}},
		"exchange":            {400, `{"error_type":"OAuthException","code":400,"error_message":"m"}`, &refusal{status: 400, code: 400, message: "m", oauth: true}},
		"an edge":             {502, `<html>THREADS</html>`, &refusal{status: 502}},
		"nothing":             {500, ``, &refusal{status: 500}},
		"words for an error":  {400, `{"error":"invalid_request"}`, &refusal{status: 400}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := parseRefusal(tc.status, []byte(tc.body))
			switch {
			case (got == nil) != (tc.want == nil):
				t.Errorf("got %+v, want %+v", got, tc.want)
			case got != nil && *got != *tc.want:
				t.Errorf("got %+v, want %+v", *got, *tc.want)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"":                              0,
		"120":                           2 * time.Minute,
		"-5":                            0,
		"soon":                          0,
		"Mon, 02 Nov 2026 09:00:30 GMT": 30 * time.Second,
		"Mon, 02 Nov 2026 08:00:00 GMT": 0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {in}}, now); got != want {
			t.Errorf("%q: got %v, want %v", in, got, want)
		}
	}
}

// Whatever Threads or something between sends, decoding ends in a value or an error.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"id":17841405793187219,"timestamp":"2026-05-04T10:15:30+0000","children":{"data":[{"id":"1"}]}}`,
		`{"error":{"message":"m","code":-1,"error_subcode":4279047}}`,
		`{"error_type":"x","code":400}`,
		`{"error":[1],"id":null,"replied_to":{"id":1e5}}`,
		`<html>`,
		`[{"name":"views","values":[{"value":"3","end_time":"2026-11-02T08:00:00+0000"}],"total_value":{"value":5,"breakdowns":[{"results":[{"dimension_values":["US"],"value":1}]}]},"link_total_values":[{"value":2,"link_url":"x"}]}]`,
		`{"poll_attachment":{"option_a":"a","total_votes":"many"},"text_entities":[{"entity_type":"SPOILER"}],"location":{"id":1,"latitude":"north"}}`,
	} {
		f.Add(400, []byte(seed))
		f.Add(200, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if r := parseRefusal(status, body); r != nil {
			for _, op := range Ops {
				class, _ := classify(op, len(body)%2 == 0, r)
				if class == "" || sentence(op, class, r) == "" {
					t.Errorf("no class or sentence for %+v", r)
				}
				if goesLive(op) && (class == Transient || class == NotReady && op != OpPublish) {
					t.Errorf("%s that may be live looks safe to repeat: %+v", op, r)
				}
			}
		}
		var m wireMedia
		if json.Unmarshal(body, &m) == nil {
			_ = m.media()
		}
		var figures []wireMetric
		if json.Unmarshal(body, &figures) == nil {
			for _, w := range figures {
				_ = w.metric()
			}
		}
		var place *wirePlace
		if json.Unmarshal(body, &place) == nil {
			_ = place.location()
		}
		var v seconds
		if json.Unmarshal(body, &v) == nil && time.Duration(v)*time.Second < 0 {
			t.Errorf("%d seconds overflow", v)
		}
	})
}
