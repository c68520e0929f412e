package consume_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/events/consume"
)

// sendMail is the subscriber's own, in the first example of docs/events.md.
func sendMail(_ context.Context, _, where string) error {
	mailed = append(mailed, where)
	return nil
}

var mailed []string

// tellByMail is the handler of that example, to the letter.
func tellByMail(ctx context.Context, m consume.Message, e events.PostPublished) error {
	where := "your profile" // a permalink may come late; post.updated.v1 brings it
	if e.Post.Permalink != nil {
		where = *e.Post.Permalink
	}
	return sendMail(ctx, e.Post.UserID, where) // nil: done. An error: it comes again
}

// The example survives what an event may leave out.
func TestDocsExample(t *testing.T) {
	source, err := os.ReadFile("docs_test.go")
	if err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(source), "func tellByMail")
	_, body, _ = strings.Cut(body, "error {\n")
	body, _, _ = strings.Cut(body, "\n}\n")
	if !strings.Contains(string(docs), "consume.On(c, func(ctx context.Context, m consume.Message, e events.PostPublished) error {\n"+body+"\n})") {
		t.Fatalf("docs/events.md has another handler than the one that runs here:\n%s", body)
	}
	link := "https://www.threads.com/@ann/post/1"
	for _, post := range []events.Post{{}, {Permalink: &link}} {
		if err := tellByMail(t.Context(), consume.Message{}, events.NewPostEvent(events.FactPublished, post).(events.PostPublished)); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Join(mailed, " ") != "your profile "+link {
		t.Errorf("mailed %q", mailed)
	}
}
