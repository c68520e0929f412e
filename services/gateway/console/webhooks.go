package console

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// webhook is an address to which events are brought, as the API shows it.
type webhook struct {
	ID             string     `json:"id"`
	URL            string     `json:"url"`
	Description    string     `json:"description"`
	Facts          []string   `json:"facts"`
	AccountID      string     `json:"accountId"`
	Status         string     `json:"status"`
	Reason         string     `json:"reason"`
	FailingSince   *time.Time `json:"failingSince"`
	CreatedAt      time.Time  `json:"createdAt"`
	Secret         string     `json:"secret"`
	OldSecretUntil *time.Time `json:"oldSecretUntil"`
}

// Badge is how it is with it.
func (h webhook) Badge() badge {
	switch {
	case h.Status == "disabled":
		return badge{"bad", "cross", "Disabled"}
	case h.Status == "paused":
		return badge{"off", "pause", "Paused"}
	case h.FailingSince != nil:
		return badge{"warn", "eye", "Failing"}
	}
	return badge{"good", "check", "Active"}
}

// delivery is an event on its way to a webhook, and what was tried.
type delivery struct {
	ID        string     `json:"id"`
	EventID   string     `json:"eventId"`
	EventType string     `json:"eventType"`
	Status    string     `json:"status"`
	Attempts  int        `json:"attempts"`
	NextTry   *time.Time `json:"nextTry"`
	CreatedAt time.Time  `json:"createdAt"`
	Log       []struct {
		At         time.Time `json:"at"`
		StatusCode *int      `json:"statusCode"`
		Message    string    `json:"message"`
		TookMs     float64   `json:"tookMs"`
	} `json:"log"`
}

// Badge is what came of it.
func (d delivery) Badge() badge {
	switch d.Status {
	case "delivered":
		return badge{"good", "check", "Delivered"}
	case "failed":
		return badge{"bad", "cross", "Given up"}
	case "waiting":
		if d.Attempts > 0 {
			return badge{"warn", "pause", "Is tried again"}
		}
		return badge{"busy", "up", "On its way"}
	}
	return badge{"off", "minus", d.Status}
}

const routeWebhooks = "/api/threads/webhooks"

func (v *visit) webhooks() (list []webhook, err error) {
	err = v.get(routeWebhooks, &list)
	return list, err
}

// webhookAPI is the address of the webhook that the page's own address names, at the API.
func (v *visit) webhookAPI() string { return routeWebhooks + "/" + url.PathEscape(v.PathValue("id")) }

// webhookPage is the address of its page.
func (v *visit) webhookPage() string {
	return "/developers/webhooks/" + url.PathEscape(v.PathValue("id"))
}

type newWebhookData struct {
	URL, Description, Account, Key string

	Accounts []account
	Kinds    []string
	Chosen   []string
	Problems map[string][]string // by field; "" is of none
}

// Has says whether an event is chosen.
func (d newWebhookData) Has(kind string) bool { return slices.Contains(d.Chosen, kind) }

// newWebhookPage is the form of a new webhook.
func (c developerPages) newWebhookPage(w http.ResponseWriter, v *visit) error {
	return c.showNewWebhook(w, v, http.StatusOK, newWebhookData{})
}

func (c developerPages) showNewWebhook(w http.ResponseWriter, v *visit, status int, d newWebhookData) (err error) {
	d.Kinds = c.Facts
	if d.Accounts, err = v.accounts(); err != nil {
		return err
	}
	c.show(w, v.Request, status, "newwebhook", &view{Title: "A new webhook", Section: "developers", V: v, Data: d})
	return nil
}

// createWebhook makes one, and shows its secret, which nobody can ask for again.
func (c developerPages) createWebhook(w http.ResponseWriter, v *visit) error {
	f := v.PostForm
	d := newWebhookData{URL: strings.TrimSpace(f.Get("url")), Description: strings.TrimSpace(f.Get("description")), Account: f.Get("account"), Key: f.Get("key"), Chosen: f["kind"]}
	in := map[string]any{"url": d.URL}
	if d.Description != "" {
		in["description"] = d.Description
	}
	if len(d.Chosen) > 0 {
		in["facts"] = d.Chosen
	}
	if d.Account != "" {
		in["accountId"] = d.Account
	}
	var made webhook
	err := v.do(http.MethodPost, routeWebhooks, in, &made, "Idempotency-Key", d.Key)
	if p := asProblem(err); p != nil && p.Status == http.StatusUnprocessableEntity {
		d.Problems = map[string][]string{}
		for _, e := range p.Errors {
			field, _, _ := strings.Cut(strings.TrimPrefix(e.Pointer, "/"), "/")
			if !slices.Contains([]string{"url", "description", "facts", "accountId"}, field) {
				field = ""
			}
			d.Problems[field] = append(d.Problems[field], e.Detail)
		}
		if len(p.Errors) == 0 {
			d.Problems[""] = []string{p.words()}
		}
		d.Key = "" // what is sent next is another request
		return c.showNewWebhook(w, v, p.Status, d)
	}
	if err != nil {
		return err
	}
	return c.showSecret(w, v, made, "The webhook is there")
}

// showSecret shows a secret once: in the answer to the form that made it, which nothing keeps.
func (c developerPages) showSecret(w http.ResponseWriter, v *visit, of webhook, title string) error {
	w.Header().Set("Cache-Control", "no-store")
	c.show(w, v.Request, http.StatusOK, "secret", &view{Title: title, Section: "developers", V: v, Data: of})
	return nil
}

type webhookData struct {
	webhook
	Account    string // its name
	Deliveries []delivery
	Later      bool
	Next       string
	Test       string
}

// deliveriesShown is how many deliveries a page has.
const deliveriesShown = 25

// webhook is one webhook, and what was sent to it.
func (c developerPages) webhook(w http.ResponseWriter, v *visit) error {
	after := v.URL.Query().Get("after")
	d := webhookData{Later: after != ""}
	var page struct {
		Deliveries []delivery `json:"deliveries"`
		Next       string     `json:"next"`
	}
	q := url.Values{"limit": {fmt.Sprint(deliveriesShown)}}
	if after != "" {
		q.Set("after", after)
	}
	var list []account
	if err := together(
		func() error { return v.get(v.webhookAPI(), &d.webhook) },
		func() error { return v.get(v.webhookAPI()+"/deliveries?"+q.Encode(), &page) },
		func() (err error) { list, err = v.accounts(); return err },
	); err != nil {
		return err
	}
	d.Account = cmp.Or(names(list)[d.AccountID], d.AccountID)
	if d.Deliveries = page.Deliveries; page.Next != "" {
		d.Next = c.at(v.webhookPage() + "?after=" + url.QueryEscape(page.Next))
	}
	c.show(w, v.Request, http.StatusOK, "webhook", &view{Title: "Webhook to " + hostOf(d.URL), Section: "developers", V: v, Data: d, Notice: notices[v.URL.Query().Get("done")]})
	return nil
}

// switchWebhook pauses one, or makes it active again.
func (c developerPages) switchWebhook(w http.ResponseWriter, v *visit) error {
	status, done := "active", "webhook-active"
	if v.PostForm.Get("do") == "pause" {
		status, done = "paused", "webhook-paused"
	}
	if err := v.do(http.MethodPatch, v.webhookAPI(), map[string]string{"status": status}, nil); err != nil {
		return err
	}
	return c.done(w, v, v.webhookPage()+"?done="+done)
}

func (c developerPages) testWebhook(w http.ResponseWriter, v *visit) error {
	if err := v.do(http.MethodPost, v.webhookAPI()+"/test", nil, nil); err != nil {
		return err
	}
	return c.done(w, v, v.webhookPage()+"?done=webhook-tested")
}

func (c developerPages) rotateWebhook(w http.ResponseWriter, v *visit) error {
	var turned webhook
	if err := v.do(http.MethodPost, v.webhookAPI()+"/rotate", nil, &turned); err != nil {
		return err
	}
	return c.showSecret(w, v, turned, "The webhook has a new secret")
}

func (c developerPages) deleteWebhook(w http.ResponseWriter, v *visit) error {
	if err := v.do(http.MethodDelete, v.webhookAPI(), nil, nil); err != nil {
		return err
	}
	return c.done(w, v, "/developers?done=webhook-deleted")
}

func (c developerPages) resendDelivery(w http.ResponseWriter, v *visit) error {
	if err := v.do(http.MethodPost, v.webhookAPI()+"/deliveries/"+url.PathEscape(v.PathValue("delivery"))+"/resend", nil, nil); err != nil {
		return err
	}
	return c.done(w, v, v.webhookPage()+"?done=webhook-resent")
}
