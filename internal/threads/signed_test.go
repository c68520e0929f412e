package threads_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/omni-write/threads/internal/threads"
)

const secret = "an app's secret"

func mac(key, message string) []byte {
	m := hmac.New(sha256.New, []byte(key))
	m.Write([]byte(message))
	return m.Sum(nil)
}

func signed(key, payload string) string {
	p := base64.RawURLEncoding.EncodeToString([]byte(payload))
	return base64.RawURLEncoding.EncodeToString(mac(key, p)) + "." + p
}

func TestSignedRequest(t *testing.T) {
	t.Parallel()
	const payload = `{"user_id":"17841405793187219","algorithm":"HMAC-SHA256","issued_at":1785216000,"expires":1785219600,"of":{"tomorrow":1}}`
	good := signed(secret, payload)
	want := threads.SignedRequest{UserID: "17841405793187219", IssuedAt: time.Unix(1785216000, 0).UTC(), Expires: time.Unix(1785219600, 0).UTC()}
	for name, raw := range map[string]string{
		"as documented": good, "the user as a number": signed(secret, strings.Replace(payload, `"17841405793187219"`, `17841405793187219`, 1)),
		"with padding": strings.Replace(good, ".", "=.", 1), // 32 bytes end in one
		"another case": signed(secret, strings.Replace(payload, "HMAC-SHA256", "hmac-sha256", 1)),
	} {
		if got, err := threads.ParseSignedRequest(raw, "another", secret); err != nil || got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	signature, body, _ := strings.Cut(good, ".")
	decoded, _ := base64.RawURLEncoding.DecodeString(body)
	for name, raw := range map[string]string{
		"nothing": "", "no dot": "abc", "only a dot": ".", "unsigned": "." + body, "another's key": signed("another secret", payload),
		"signed the decoded payload": base64.RawURLEncoding.EncodeToString(mac(secret, string(decoded))) + "." + body,
		"changed":                    signature + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(payload, "219\"", "221\"", 1))),
		"no algorithm":               signed(secret, `{"user_id":"1"}`), "another algorithm": signed(secret, `{"user_id":"1","algorithm":"none"}`),
		"no json": signed(secret, "hello"), "huge": good + strings.Repeat("A", 20<<10),
		"an empty key": signed("", payload), "a strange user": signed(secret, `{"user_id":"../me","algorithm":"HMAC-SHA256"}`), "no user": signed(secret, `{"algorithm":"HMAC-SHA256"}`),
	} {
		if got, err := threads.ParseSignedRequest(raw, secret, ""); err == nil {
			t.Errorf("%s was taken: %+v", name, got)
		}
	}
}

const published = `{"app_id":"123456","topic":"interaction","target_id":"18060000000000017","time":1793610004,"subscription_id":"234567","has_uid_field":false,` +
	`"values":{"value":{"id":"18060000000000017","media_type":"TEXT_POST","permalink":"https:\/\/www.threads.com\/@demo.user\/post\/DAbCdEf0001","timestamp":"2026-11-02T09:00:03+0000","username":"d\u00e9mo.user"},"field":"publish"}}`

func TestWebhookSignature(t *testing.T) {
	t.Parallel()
	header := "sha256=" + hex.EncodeToString(mac(secret, published))
	if err := threads.VerifyWebhook([]byte(published), header, secret); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct{ body, header string }{
		"encoded anew": {strings.ReplaceAll(published, `\/`, "/"), header}, "no header": {published, ""}, "the old kind": {published, "sha1=" + header[7:]},
		"no hex": {published, "sha256=zz"}, "short": {published, header[:20]}, "an empty key": {published, "sha256=" + hex.EncodeToString(mac("", published))},
	} {
		if err := threads.VerifyWebhook([]byte(c.body), c.header, secret, ""); !errors.Is(err, threads.ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseWebhook(t *testing.T) {
	t.Parallel()
	at := time.Unix(1793610004, 0).UTC()
	for name, body := range map[string]string{"an object": published, "a list": strings.Replace(published, `"values":{`, `"values":[{`, 1)[:len(published)] + "]}"} {
		got, err := threads.ParseWebhook([]byte(body))
		if err != nil || len(got) != 1 {
			t.Fatalf("%s: %v, %v", name, got, err)
		}
		e := got[0]
		if e.Field != threads.WebhookPublish || e.Topic != "interaction" || !e.At.Equal(at) || e.Media.ID != "18060000000000017" || e.Media.Username != "démo.user" ||
			e.Media.Permalink != "https://www.threads.com/@demo.user/post/DAbCdEf0001" || e.Media.Timestamp.IsZero() || e.TargetID != "18060000000000017" {
			t.Errorf("%s: %+v", name, e)
		}
	}
	got, err := threads.ParseWebhook([]byte(`{"topic":"moderate","time":1793610004,"values":[
		{"field":"delete","value":{"id":"7","owner":{"owner_id":"17841405793187219"},"deleted_at":"2026-11-02T09:00:03+0000","timestamp":"2026-11-01T09:00:03+0000","username":"a"}},
		{"field":"delete","value":{"id":"8","deleted_at":1793610003}},
		{"field":"replies","value":{"id":"9","text":"hi","replied_to":{"id":"5"},"root_post":{"id":"4","owner_id":"17841405793187219","username":"a"},"is_verified":true}},
		{"field":"auras","value":{"id":"10","shimmer":[]}},{"field":"auras","value":"blue"},{"field":"auras","value":"red"},
		{"field":"delete","value":{"id":"11","owner":"a","root_post":7,"deleted_at":1793610003000}},{"field":"delete","value":{"id":12.5}}]}`))
	if err != nil || len(got) != 8 {
		t.Fatalf("%v, %v", got, err)
	}
	deleted := time.Date(2026, 11, 2, 9, 0, 3, 0, time.UTC)
	if got[0].Media.OwnerID != "17841405793187219" || !got[0].DeletedAt.Equal(deleted) || got[1].DeletedAt.IsZero() {
		t.Errorf("deletions are %+v, %+v", got[0], got[1])
	}
	if r := got[2]; r.Media.Text != "hi" || r.Media.ReplyToID != "5" || r.Media.RootID != "4" || r.RootOwnerID != "17841405793187219" || r.RootUsername != "a" || !r.Media.AuthorVerified {
		t.Errorf("the reply is %+v", r)
	}
	if got[3].Field != "auras" || got[3].Media.ID != "10" {
		t.Errorf("the field of tomorrow is %+v", got[3])
	}
	if got[4].Field != "auras" || string(got[4].Value) != `"blue"` {
		t.Errorf("the value of another shape is %+v", got[4])
	}
	if at := time.Unix(1793610003, 0); got[6].Media.ID != "11" || !got[6].DeletedAt.Equal(at) {
		t.Errorf("the deletion with an owner of another shape is %+v", got[6])
	}
	keys := map[string]bool{}
	for _, e := range got {
		keys[e.Key()] = true
	}
	if len(keys) != len(got) {
		t.Errorf("%d things have %d keys: %v", len(got), len(keys), keys)
	}
	if several, err := threads.ParseWebhook([]byte("[" + published + "," + published + "]")); err != nil || len(several) != 2 || several[0].Key() != several[1].Key() {
		t.Errorf("several in one: %+v, %v", several, err)
	}
	if rest, err := threads.ParseWebhook([]byte(`[{"values":7},` + published + "]")); err != nil || len(rest) != 1 {
		t.Errorf("one of two is not understood: %+v, %v", rest, err)
	}
	for _, body := range []string{"", "[]", "{}", "[{}]", `{"values":[]}`, `{"values":7}`} {
		if got, err := threads.ParseWebhook([]byte(body)); err == nil {
			t.Errorf("%q was taken: %+v", body, got)
		}
	}
}

func TestVerifySubscription(t *testing.T) {
	t.Parallel()
	q := url.Values{"hub.mode": {"subscribe"}, "hub.challenge": {"1158201444"}, "hub.verify_token": {"ours"}}
	if challenge, ok := threads.VerifySubscription(q, "ours"); !ok || challenge != "1158201444" {
		t.Errorf("%q, %v", challenge, ok)
	}
	for name, change := range map[string][2]string{"another mode": {"hub.mode", "unsubscribe"}, "another token": {"hub.verify_token", "theirs"}, "no token": {"hub.verify_token", ""}} {
		bad := url.Values{}
		for k, v := range q {
			bad[k] = v
		}
		bad.Set(change[0], change[1])
		if _, ok := threads.VerifySubscription(bad, "ours"); ok {
			t.Errorf("%s was taken", name)
		}
	}
	if _, ok := threads.VerifySubscription(url.Values{"hub.mode": {"subscribe"}}, ""); ok {
		t.Error("without a token of ours anybody would be let in")
	}
}

func FuzzSigned(f *testing.F) {
	f.Add(signed(secret, `{"user_id":"1","algorithm":"HMAC-SHA256"}`), published)
	f.Add("a.b", `{"values":[{}]}`)
	f.Add("=.=", `{"user_id":17841405793187219,"algorithm":"hmac-sha256","issued_at":"1785216000"}`)
	f.Add(".", `[{"time":"2026-11-02T09:00:03+0000","values":[{"field":7,"value":[]},{"value":{"deleted_at":-1,"owner":{"owner_id":1}}}]}]`)
	f.Fuzz(func(t *testing.T, raw, body string) {
		if r, err := threads.ParseSignedRequest(raw, "a secret that no seed knows"); err == nil {
			t.Errorf("%q was taken: %+v", raw, r)
		}
		if r, err := threads.ParseSignedRequest(signed(secret, body), secret); err == nil && strings.Trim(r.UserID, "0123456789") != "" {
			t.Errorf("%q names the user %q", body, r.UserID)
		}
		for _, e := range must(threads.ParseWebhook([]byte(body))) {
			_ = e.Key()
		}
	})
}

func must(events []threads.WebhookEvent, _ error) []threads.WebhookEvent { return events }
