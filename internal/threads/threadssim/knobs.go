package threadssim

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/omni-write/threads/internal/threads"
)

// Knobs are the behaviour of the simulated Threads: what it does every time, or so often. They exist for the whole
// simulator (SetKnobs), for one account on top of that (SetUserKnobs), and for one request on top of both (the header
// X-Sim-Knobs). A misbehaviour of one exact call is a Fault. Both end in a hit, so they cannot mean different things.
//
// Everything that is left to chance is drawn from a generator seeded by Options.Seed, one for each account: the same
// calls get the same answers.
type Knobs struct {
	HiddenSuccess   HiddenSuccess   `json:"hidden_success"`
	DropResponse    DropKnob        `json:"drop_response"`
	PublishLatency  Span            `json:"publish_latency"`
	APILatency      Span            `json:"api_latency"`
	VisibilityDelay Span            `json:"visibility_delay"`
	LostContainer   float64         `json:"lost_container"`
	ProcessingTime  ProcessingTimes `json:"processing_time"`
	ProcessingError Failures        `json:"processing_error"`
	DoublePublish   string          `json:"double_publish"`
	// CarouselChildren is by which ids a published carousel names its children: those of their containers, or of posts of
	// their own. Observers have seen both.
	CarouselChildren string `json:"carousel_children"`
	ListLag          Span   `json:"list_lag"`
	PermalinkLag     Span   `json:"permalink_lag"`
	// PermalinkWithheld is how often media are flagged: their posts never show a permalink.
	PermalinkWithheld float64   `json:"permalink_withheld"`
	CleanHTTPStatus   string    `json:"clean_http_status"`
	CountMode         string    `json:"count_mode"`
	QuotaTotal        Quotas    `json:"quota_total"`
	QuotaError        ErrorKnob `json:"quota_error"`
	Throttle          Throttle  `json:"throttle"`
	CallBudget        int       `json:"call_budget"`
	UsageHeaders      string    `json:"usage_headers"`
	SpamBlock         SpamBlock `json:"spam_block"`
	Edge5xx           EdgeKnob  `json:"edge_5xx"`
	RefreshTooYoung   string    `json:"refresh_too_young"`
	TokenTTLShort     Duration  `json:"token_ttl_short"`
	TokenTTLLong      Duration  `json:"token_ttl_long"`
	GrantTTL          Duration  `json:"grant_ttl"`
	ProfilePrivate    bool      `json:"profile_private"`
	Ungranted         bool      `json:"ungranted"`
	Uninstall         bool      `json:"uninstall"`
	ForeignUserID     bool      `json:"foreign_user_id"`
	Locale            string    `json:"locale"`
	LinkError         float64   `json:"link_error"`
	CrossReshareError float64   `json:"crossreshare_error"`
	GeoGating         bool      `json:"geo_gating"`
	FetchMedia        bool      `json:"fetch_media"`
	// The webhooks': an array where the documentation shows an object, deliveries doubled, late, lost, out of order.
	WebhookValuesArray bool    `json:"webhook_values_array"`
	WebhookDup         float64 `json:"webhook_dup"`
	WebhookDelay       Span    `json:"webhook_delay"`
	WebhookDrop        float64 `json:"webhook_drop"`
	WebhookReorder     float64 `json:"webhook_reorder"`
}

// HiddenSuccess answers an error although the call took effect.
type HiddenSuccess struct {
	Probability float64 `json:"probability"`
	// Error is one of hiddenErrors, as code/HTTP status. Default 10/500.
	Error string `json:"error"`
	Ops   Ops    `json:"ops,omitempty"`
}

// DropKnob cuts connections, before the call took effect or after.
type DropKnob struct {
	Probability float64 `json:"probability"`
	When        string  `json:"when"`
	Ops         Ops     `json:"ops,omitempty"`
}

// ProcessingTimes are how long containers stay IN_PROGRESS, by media type.
type ProcessingTimes struct {
	Text     Span `json:"text"`
	Image    Span `json:"image"`
	Video    Span `json:"video"`
	Carousel Span `json:"carousel"`
}

// Failures are how often containers end in ERROR, by media type.
type Failures struct {
	Text     Failure `json:"text"`
	Image    Failure `json:"image"`
	Video    Failure `json:"video"`
	Carousel Failure `json:"carousel"`
}

// Failure is one of them; Message is its error_message, UNKNOWN by default.
type Failure struct {
	Probability float64 `json:"probability"`
	Message     string  `json:"message"`
}

// ErrorKnob is an error in Graph's shape.
type ErrorKnob struct {
	HTTP    int    `json:"http"`
	Code    int    `json:"code"`
	Subcode int    `json:"subcode"`
	Message string `json:"message"`
}

// Throttle refuses calls. Code 429 means HTTP 429 with code 4.
type Throttle struct {
	Probability float64  `json:"probability"`
	Code        int      `json:"code"`
	RetryAfter  Duration `json:"retry_after"`
	Ops         Ops      `json:"ops,omitempty"`
}

// SpamBlock refuses publishes until a moment; Live is how often the post is live all the same.
type SpamBlock struct {
	Until time.Time `json:"until"`
	Live  float64   `json:"live"`
}

// EdgeKnob answers in the place of Threads, in HTML or not at all.
type EdgeKnob struct {
	Probability float64 `json:"probability"`
	HTTP        int     `json:"http"`
	Body        string  `json:"body"`
	Ops         Ops     `json:"ops,omitempty"`
}

// Ops are names of calls, as in threads.OpPublish. None means the knob's own default.
type Ops []string

func (o Ops) has(op string, usual ...string) bool {
	if len(o) == 0 {
		o = usual
	}
	return len(o) == 0 || slices.Contains(o, op)
}

// UnmarshalJSON never writes into a list that other knobs share.
func (o *Ops) UnmarshalJSON(raw []byte) error {
	var names []string
	if err := json.Unmarshal(raw, &names); err != nil {
		return err
	}
	*o = names
	return nil
}

// The errors a hidden success may have.
var hiddenErrors = map[string]func() answer{
	"10/500":      noPermission,
	"2/500":       unwell,
	"2/400":       func() answer { a := unwell(); a.status = 400; return a },
	"2207051/403": func() answer { return actionBlocked() },
}

// The words of knobs that are a choice; the first is the default.
var (
	doublePublishes = []string{"error", "same_id", "second_post"}
	httpStatuses    = []string{"observed", "textbook"}
	countModes      = []string{"documented", "bytes", "codepoints"}
	youngRefreshes  = []string{"refuse", "allow"}
	locales         = []string{"en", "vi", "ru"}
	usageHeaders    = []string{"none", "app", "business", "both"}
	dropMoments     = []string{"after", "before"}
	edgeBodies      = []string{"html", "empty"}
)

// Quick are the knobs of the zero Options: nothing takes long and nothing is left to chance.
func Quick() Knobs {
	return Knobs{
		HiddenSuccess: HiddenSuccess{Error: "10/500"},
		DropResponse:  DropKnob{When: "after"},
		ProcessingTime: ProcessingTimes{
			Text: Always(200 * time.Millisecond), Carousel: Always(200 * time.Millisecond),
			// Media at once: Meta's own sample app makes a carousel of items that it has not waited for.
		},
		DoublePublish:    "error",
		CarouselChildren: "containers",
		CleanHTTPStatus:  "observed",
		CountMode:        "documented",
		QuotaTotal:       documentedQuotas,
		QuotaError:       ErrorKnob{HTTP: 400, Code: 9, Subcode: 2207042, Message: "Application request limit reached"},
		Throttle:         Throttle{Code: 4},
		UsageHeaders:     "none",
		Edge5xx:          EdgeKnob{HTTP: 502, Body: "html"},
		RefreshTooYoung:  "refuse",
		TokenTTLShort:    Duration(shortLife),
		TokenTTLLong:     Duration(longLife),
		GrantTTL:         Duration(grantLife),
		Locale:           "en",
	}
}

// Realistic are the knobs as observed at the real Threads, without its bad days: what a client meets there in any week.
//
// Three of four text containers are ready at once; the fourth takes up to three seconds, and whoever publishes it at once
// meets 24/4279009 as at Threads.
func Realistic() Knobs {
	k := Quick()
	k.ProcessingTime = ProcessingTimes{
		Text:     Span{Max: 3 * time.Second, Chance: 0.25},
		Image:    Span{Min: time.Second, Max: 5 * time.Second},
		Video:    Span{Min: 20 * time.Second, Max: 120 * time.Second},
		Carousel: Span{Min: time.Second, Max: 5 * time.Second},
	}
	k.VisibilityDelay = Span{Max: 3 * time.Second, Chance: 0.1}
	k.PermalinkLag = Always(3 * time.Second)
	k.ListLag = Span{Max: 2 * time.Second}
	k.CallBudget = 48000
	k.FetchMedia = true
	return k
}

// check refuses knobs that mean nothing.
func (k *Knobs) check() error {
	var problems []error
	name := func(knob string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", knob, err))
		}
	}
	for knob, p := range map[string]float64{
		"hidden_success": k.HiddenSuccess.Probability, "drop_response": k.DropResponse.Probability,
		"lost_container": k.LostContainer, "throttle": k.Throttle.Probability, "edge_5xx": k.Edge5xx.Probability,
		"spam_block": k.SpamBlock.Live, "link_error": k.LinkError, "crossreshare_error": k.CrossReshareError,
		"permalink_withheld": k.PermalinkWithheld, "webhook_dup": k.WebhookDup, "webhook_drop": k.WebhookDrop,
		"webhook_reorder": k.WebhookReorder, "processing_error.text": k.ProcessingError.Text.Probability,
		"processing_error.image": k.ProcessingError.Image.Probability, "processing_error.video": k.ProcessingError.Video.Probability,
		"processing_error.carousel": k.ProcessingError.Carousel.Probability,
	} {
		if p < 0 || p > 1 {
			name(knob, fmt.Errorf("%v is not a probability between 0 and 1", p))
		}
	}
	for knob, span := range map[string]Span{
		"publish_latency": k.PublishLatency, "api_latency": k.APILatency, "visibility_delay": k.VisibilityDelay,
		"processing_time.text": k.ProcessingTime.Text, "processing_time.image": k.ProcessingTime.Image,
		"processing_time.video": k.ProcessingTime.Video, "processing_time.carousel": k.ProcessingTime.Carousel,
		"list_lag": k.ListLag, "permalink_lag": k.PermalinkLag, "webhook_delay": k.WebhookDelay,
	} {
		name(knob, span.check())
	}
	for knob, choice := range map[string]struct {
		is  string
		may []string
	}{
		"double_publish": {k.DoublePublish, doublePublishes}, "carousel_children": {k.CarouselChildren, childrenNames}, "clean_http_status": {k.CleanHTTPStatus, httpStatuses},
		"count_mode": {k.CountMode, countModes}, "refresh_too_young": {k.RefreshTooYoung, youngRefreshes},
		"locale": {k.Locale, locales}, "usage_headers": {k.UsageHeaders, usageHeaders},
		"drop_response.when": {k.DropResponse.When, dropMoments}, "edge_5xx.body": {k.Edge5xx.Body, edgeBodies},
	} {
		if !slices.Contains(choice.may, choice.is) {
			name(knob, fmt.Errorf("%.40q is none of %s", choice.is, strings.Join(choice.may, ", ")))
		}
	}
	for knob, list := range map[string]Ops{
		"hidden_success.ops": k.HiddenSuccess.Ops, "drop_response.ops": k.DropResponse.Ops, "throttle.ops": k.Throttle.Ops,
		"edge_5xx.ops": k.Edge5xx.Ops,
	} {
		for _, op := range list {
			if !slices.Contains(ops, op) {
				name(knob, fmt.Errorf("unknown op %.40q", op))
			}
		}
	}
	for knob, n := range map[string]int64{
		"token_ttl_short": int64(k.TokenTTLShort), "token_ttl_long": int64(k.TokenTTLLong), "grant_ttl": int64(k.GrantTTL),
	} {
		if n <= 0 {
			name(knob, errors.New("a token must live for a while"))
		}
	}
	if hiddenErrors[k.HiddenSuccess.Error] == nil {
		name("hidden_success.error", fmt.Errorf("%.40q is none of 10/500, 2/500, 2/400, 2207051/403", k.HiddenSuccess.Error))
	}
	if !slices.Contains([]int{4, 17, 429}, k.Throttle.Code) {
		name("throttle.code", fmt.Errorf("%d is none of 4, 17, 429", k.Throttle.Code))
	}
	if k.Throttle.RetryAfter < 0 {
		name("throttle.retry_after", errors.New("is below zero"))
	}
	if !slices.Contains([]int{500, 502, 503, 504}, k.Edge5xx.HTTP) {
		name("edge_5xx.http", fmt.Errorf("%d is none of 500, 502, 503, 504", k.Edge5xx.HTTP))
	}
	if k.QuotaError.HTTP < 400 || k.QuotaError.HTTP > 599 {
		name("quota_error.http", fmt.Errorf("%d is no status of an error", k.QuotaError.HTTP))
	}
	if k.CallBudget < 0 {
		name("call_budget", errors.New("is below zero"))
	}
	name("quota_total", k.QuotaTotal.check())
	return errors.Join(problems...)
}

func (p ProcessingTimes) of(mediaType string) Span {
	switch mediaType {
	case threads.Image:
		return p.Image
	case threads.Video:
		return p.Video
	case threads.Carousel:
		return p.Carousel
	}
	return p.Text
}

func (f Failures) of(mediaType string) Failure {
	switch mediaType {
	case threads.Image:
		return f.Image
	case threads.Video:
		return f.Video
	case threads.Carousel:
		return f.Carousel
	}
	return f.Text
}
