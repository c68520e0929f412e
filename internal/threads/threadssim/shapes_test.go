package threadssim_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/omni-write/threads/internal/threads/threadssim"
)

// The requests that clients in the wild send, in the very shapes they send them.
func TestShapesOfOtherClients(t *testing.T) {
	t.Parallel()
	geo := threadssim.Quick()
	geo.ProcessingTime = threadssim.ProcessingTimes{}
	geo.GeoGating = true
	const app = "TH|" + threadssim.DefaultAppID + "|" + threadssim.DefaultAppSecret

	// countries makes a post for two countries and reads them back.
	countries := func(shape string) func(*world) (reply, string) {
		return func(w *world) (reply, string) {
			r := w.send(http.MethodPost, "/v1.0/me/threads", form, "media_type=TEXT&text=x&"+shape+"&access_token="+w.token)
			id := fine(w.t, w.post("/v1.0/me/threads_publish", "creation_id", fine(w.t, r).str("id"))).str("id")
			return w.get("/v1.0/"+id, "fields", "allowlisted_country_codes"), `"allowlisted_country_codes":["US","CA"]`
		}
	}
	// album makes a carousel of two pictures, publishes it and reads its children.
	album := func(kind string, body func(a, b, token string) string) func(*world) (reply, string) {
		return func(w *world) (reply, string) {
			picture := []string{"media_type", "IMAGE", "image_url", "https://cdn.example/a.jpg", "is_carousel_item", "true"}
			a, b := w.create(picture...), w.create(picture...)
			r := fine(w.t, w.send(http.MethodPost, "/v1.0/me/threads", kind, body(a, b, w.token)))
			r = fine(w.t, w.post("/v1.0/me/threads_publish", "creation_id", r.str("id")))
			return w.get("/v1.0/"+r.str("id"), "fields", "children"), `"children":{"data":[{"id":"` + a + `"},{"id":"` + b + `"}]}`
		}
	}
	inForm := func(names ...string) func(a, b, token string) string {
		return func(a, b, token string) string {
			body := "media_type=CAROUSEL&access_token=" + token
			for i := 0; i+1 < len(names); i += 2 {
				body += "&" + url.QueryEscape(names[i]) + "=" + a + "&" + url.QueryEscape(names[i+1]) + "=" + b
			}
			return body
		}
	}
	searched := func(path string) func(*world) (reply, string) {
		return func(w *world) (reply, string) {
			w.says("ann", "text", "tea")
			fields := "&fields=id,text,owner,username&access_token="
			return w.as("demo.user", allScopes...).inQuery(http.MethodGet, path+fields), `"username":"ann"`
		}
	}

	for name, shape := range map[string]func(*world) (answer reply, holds string){
		"children with commas": album(form, func(a, b, token string) string {
			return "media_type=CAROUSEL&children=" + a + "%2C" + b + "&access_token=" + token
		}),
		"children repeated":  album(form, inForm("children", "children")),
		"children indexed":   album(form, inForm("children[0]", "children[1]")),
		"children bracketed": album(form, inForm("children[]", "children[]")),
		"children twice":     album(form, inForm("children", "children", "children[0]", "children[1]")),
		"children as a list": album("application/json", func(a, b, token string) string {
			return `{"media_type":"CAROUSEL","children":["` + a + `","` + b + `"],"access_token":"` + token + `"}`
		}),
		"children as a list in a form": album(form, func(a, b, token string) string {
			return "media_type=CAROUSEL&children=" + url.QueryEscape(`["`+a+`","`+b+`"]`) + "&access_token=" + token
		}),
		"countries with commas":  countries("allowlisted_country_codes=US,CA"),
		"countries repeated":     countries("allowlisted_country_codes=US&allowlisted_country_codes=CA"),
		"countries indexed":      countries("allowlisted_country_codes%5B0%5D=US&allowlisted_country_codes%5B1%5D=CA"),
		"countries bracketed":    countries("allowlisted_country_codes[]=US&allowlisted_country_codes[]=CA"),
		"owner in a search":      searched("/v1.0/keyword_search?q=tea&search_type=RECENT"),
		"owner in profile posts": searched("/v1.0/profile_posts?username=ann"),
		"next as given": func(w *world) (reply, string) {
			first := w.publish("media_type", "TEXT", "text", "one")
			w.publish("media_type", "TEXT", "text", "two")
			r := fine(w.t, w.inQuery(http.MethodGet, "/v1.0/me/threads?limit=1&access_token="))
			paging, _ := r.body["paging"].(map[string]any)
			next, _ := paging["next"].(string)
			return w.send(http.MethodGet, strings.TrimPrefix(next, w.server.URL), "", ""), `"id":"` + first + `"`
		},
		"the app asks about a token": func(w *world) (reply, string) {
			q := url.Values{"input_token": {w.token}, "access_token": {app}}
			return w.send(http.MethodGet, "/v1.0/debug_token?"+q.Encode(), "", ""), `"user_id":"` + w.userID + `"`
		},
		"a code in a multipart body": func(w *world) (reply, string) {
			r := w.send(http.MethodGet, "/oauth/authorize?"+window().Encode(), "", "")
			_, query, _ := strings.Cut(r.raw[strings.LastIndex(r.raw, back):], "?")
			code, err := url.ParseQuery(strings.TrimSuffix(query, "#_"))
			if err != nil {
				w.t.Fatal(err)
			}
			var body strings.Builder
			for name, value := range map[string]string{
				"client_id": threadssim.DefaultAppID, "client_secret": threadssim.DefaultAppSecret, "redirect_uri": back,
				"grant_type": "authorization_code", "code": code.Get("code"),
			} {
				body.WriteString("--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n")
			}
			body.WriteString("--b--\r\n")
			return w.send(http.MethodPost, "/oauth/access_token", "multipart/form-data; boundary=b", body.String()), `"user_id":`
		},
		"all in the query": func(w *world) (reply, string) {
			r := fine(w.t, w.inQuery(http.MethodPost, "/v1.0/me/threads?media_type=TEXT&text=in+the+query&access_token="))
			r = fine(w.t, w.inQuery(http.MethodPost, "/v1.0/me/threads_publish?creation_id="+r.str("id")+"&access_token="))
			return w.inQuery(http.MethodGet, "/v1.0/"+r.str("id")+"?fields=text&access_token="), `"text":"in the query"`
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, threadssim.Options{Knobs: &geo, AutoApprove: true})
			followers := 500
			w.person(threadssim.Person{Username: "ann", Followers: &followers})
			r, holds := shape(w)
			has(t, r, holds)
			hasNot(t, r, `"owner"`)
		})
	}
}

// inQuery sends a call whose query ends with the token and which has neither body nor header.
func (w *world) inQuery(method, path string) reply {
	w.t.Helper()
	return w.send(method, path+w.token, "", "")
}
