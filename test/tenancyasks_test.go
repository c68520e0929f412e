package test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/testkit/waiting"
)

// asked is a question about one thing: of is the kind of its id.
type asked struct {
	of string
	q  func(user, id string) asks.Question
}

// questionsAboutThings are all the questions that name a thing by its id. The user in a question is who the gateway found the token to be.
func questionsAboutThings() []asked {
	words := "taken"
	about := func(of string, q func(user, id string) asks.Question) asked { return asked{of, q} }
	return []asked{
		about("post", func(u, id string) asks.Question { return asks.GetPost{UserID: u, ID: id} }),
		about("media", func(u, id string) asks.Question { return asks.GetPost{UserID: u, ID: id} }),
		about("account", func(u, id string) asks.Question { return asks.ListPosts{UserID: u, AccountID: id} }),
		about("command", func(u, id string) asks.Question { return asks.GetCommand{UserID: u, ID: id} }),
		about("account", func(u, id string) asks.Question { return asks.GetProfile{UserID: u, AccountID: id} }),
		about("account", func(u, id string) asks.Question { return asks.GetLimits{UserID: u, AccountID: id} }),
		about("account", func(u, id string) asks.Question { return asks.GetAccountInsights{UserID: u, AccountID: id} }),
		about("account", func(u, id string) asks.Question { return asks.GetPostInsights{UserID: u, AccountID: id, ID: "1"} }),
		about("post", func(u, id string) asks.Question { return asks.GetPostInsights{UserID: u, ID: id} }),
		about("media", func(u, id string) asks.Question { return asks.GetPostInsights{UserID: u, ID: id} }),
		about("account", func(u, id string) asks.Question { return asks.ListReplies{UserID: u, AccountID: id, ID: "1"} }),
		about("post", func(u, id string) asks.Question { return asks.ListReplies{UserID: u, ID: id} }),
		about("account", func(u, id string) asks.Question { return asks.ListMentions{UserID: u, AccountID: id} }),
		about("account", func(u, id string) asks.Question { return asks.SearchPosts{UserID: u, AccountID: id, Query: "cats"} }),
		about("account", func(u, id string) asks.Question {
			return asks.LookUpProfile{UserID: u, AccountID: id, Username: "somebody"}
		}),
		about("account", func(u, id string) asks.Question {
			return asks.ListProfilePosts{UserID: u, AccountID: id, Username: "somebody"}
		}),
		about("account", func(u, id string) asks.Question {
			return asks.FindLocations{UserID: u, AccountID: id, Name: "cafe"}
		}),
		about("account", func(u, id string) asks.Question { return asks.GetHistoryImport{UserID: u, AccountID: id} }),
		about("account", func(u, id string) asks.Question {
			return asks.ValidatePost{UserID: u, Draft: events.Draft{AccountID: id, Text: words}, PublishAt: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)}
		}),
		about("account", func(u, id string) asks.Question { return asks.BeginOAuth{UserID: u, AccountID: id} }),
		about("account", func(u, id string) asks.Question {
			return asks.CreateWebhook{UserID: u, AccountID: id, URL: "https://hooks.example/taken"}
		}),
		about("webhook", func(u, id string) asks.Question { return asks.GetWebhook{UserID: u, ID: id} }),
		about("webhook", func(u, id string) asks.Question {
			return asks.UpdateWebhook{UserID: u, ID: id, Description: &words}
		}),
		about("webhook", func(u, id string) asks.Question { return asks.DeleteWebhook{UserID: u, ID: id} }),
		about("webhook", func(u, id string) asks.Question { return asks.RotateWebhook{UserID: u, ID: id} }),
		about("webhook", func(u, id string) asks.Question { return asks.TestWebhook{UserID: u, ID: id} }),
		about("webhook", func(u, id string) asks.Question { return asks.ListDeliveries{UserID: u, ID: id} }),
		about("webhook", func(u, id string) asks.Question {
			return asks.ResendDelivery{UserID: u, ID: id, DeliveryID: "del_1"}
		}),
	}
}

// named are the questions that name nothing but a user: what they answer must be that user's alone.
func named(user string) []asks.Question {
	return []asks.Question{asks.ListConnections{UserID: user}, asks.ListAccountIDs{UserID: user}, asks.ListWebhooks{UserID: user}, asks.ListPosts{UserID: user}, asks.GetOperations{}}
}

// notAbout are the questions in which no user is named: what they are about is proved by a secret or by a signature.
var notAbout = []string{
	"threads.ask.ticket.issue", "threads.ask.ticket.redeem", "threads.ask.oauth.finish", "threads.ask.oauth.return", "threads.ask.oauth.confirm",
	"threads.ask.account.uninstall",
	"threads.ask.account.erase", "threads.ask.account.erasure", "threads.ask.webhook.receive", "threads.ask.webhook.shake_hands",
}

// questionSubjects are the subjects of all questions that there are, as the source has them.
func questionSubjects(t *testing.T) (subjects []string) {
	t.Helper()
	files, err := filepath.Glob("internal/asks/*.go")
	if err != nil {
		t.Fatal(err)
	}
	call := regexp.MustCompile(`\bask\("(\w+)", "(\w+)"\)`)
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range call.FindAllStringSubmatch(string(source), -1) {
			subjects = append(subjects, "threads.ask."+m[1]+"."+m[2])
		}
	}
	if len(subjects) == 0 {
		t.Fatal("no question was found in the source")
	}
	return subjects
}

// The gateway is not the only guard: whoever asks over NATS for another user's thing hears what they would hear of one that
// is not there.
func tenancyOfAsks(t *testing.T, h *system, theirs, mine things) {
	nc, _ := h.outside()
	defer nc.Close()
	ask := func(q asks.Question, ids ...string) string {
		t.Helper()
		body, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		reply, err := nc.RequestMsg(&nats.Msg{Subject: q.Subject(), Data: body}, waiting.Limit)
		if err != nil {
			t.Fatalf("%s: %v", q.Subject(), err)
		}
		said := reply.Header.Get(micro.ErrorCodeHeader) + " " + everNew.ReplaceAllString(string(reply.Data), "NEW")
		for _, id := range ids {
			said = strings.ReplaceAll(said, id, "ID")
		}
		return said
	}
	covered := slices.Clone(notAbout)
	for _, a := range questionsAboutThings() {
		for i, id := range theirs[a.of] {
			q := a.q("user_2", id)
			covered = append(covered, q.Subject())
			gone := missing(a.of)
			foreign, none := ask(q, id), ask(a.q("user_2", gone), gone)
			if foreign != none {
				t.Errorf("%s with somebody else's %s answers\n%s\nand with one that is not\n%s", q.Subject(), a.of, foreign, none)
			}
			if own := ask(a.q("user_2", mine[a.of][i]), mine[a.of][i]); a.of != "webhook" && own == none && !slices.Contains(quietOfOne, q.Subject()) {
				t.Errorf("%s answers to one's own %s as to one that is not: %s", q.Subject(), a.of, own)
			}
		}
	}
	for _, q := range named("user_2") {
		covered = append(covered, q.Subject())
		said := ask(q)
		for kind, ids := range theirs {
			for _, id := range ids {
				if strings.Contains(said, id) {
					t.Errorf("%s shows somebody else's %s: %s", q.Subject(), kind, said)
				}
			}
		}
	}
	for _, subject := range questionSubjects(t) {
		if !slices.Contains(covered, subject) {
			t.Errorf("%s is new: say in questionsAboutThings whose things it is about", subject)
		}
	}
}

// quietOfOne are the questions whose answer is the same for a thing of one's own without anything to say of it.
var quietOfOne = []string{"threads.ask.history.get"}
