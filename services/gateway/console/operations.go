package console

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// operatorPages are the pages for those who run the system.
type operatorPages struct{ *Console }

// figures is how the whole system does, as the API tells it.
type figures struct {
	MeasuredAt time.Time `json:"measuredAt"`
	Lateness   struct {
		Posts   int `json:"posts"`
		Buckets []struct {
			UpToMs float64 `json:"upToMs"`
			Posts  int     `json:"posts"`
		} `json:"buckets"`
	} `json:"lateness"`
	Overdue struct {
		Posts  int        `json:"posts"`
		Oldest *time.Time `json:"oldest"`
	} `json:"overdue"`
	Unsettled []struct {
		State  string     `json:"state"`
		Posts  int        `json:"posts"`
		Oldest *time.Time `json:"oldest"`
	} `json:"unsettled"`
	DeadLetters int `json:"deadLetters"`
	Behind      int `json:"behind"`
	Skipped     int `json:"skipped"`
	Consumers   []struct {
		Stream  string `json:"stream"`
		Name    string `json:"name"`
		Known   bool   `json:"known"`
		Pending int    `json:"pending"`
		Unacked int    `json:"unacked"`
	} `json:"consumers"`
}

// check is one figure: what it means when it is not zero, and what to run.
type check struct {
	Badge   badge
	Name    string
	Count   int
	Oldest  *time.Time
	Words   string
	Command string
}

// bar is one bucket of a histogram.
type bar struct {
	Name, Label         string // in the table, and below the bar
	Posts               int
	Share               string
	X, Y, Width, Height float64
}

type operationsData struct {
	figures
	Checks []check
	Bars   []bar
}

// operations is how the whole system does, for those who run it. Nobody else finds a page here; the API looks at the token once more.
func (c operatorPages) operations(w http.ResponseWriter, v *visit) error {
	if !v.Operator {
		c.show(w, v.Request, http.StatusNotFound, "message", &view{Title: "There is no such page", V: v, Data: message{
			Words: "The address may be mistyped, or the page is not for you.", Link: c.at("/"), Label: "Go to Today",
		}})
		return nil
	}
	var d operationsData
	if err := v.get("/api/threads/operations", &d.figures); err != nil {
		return err
	}
	d.Checks, d.Bars = d.checks(), d.bars()
	c.show(w, v.Request, http.StatusOK, "operations", &view{Title: "Operations", Section: "operations", V: v, Data: d})
	return nil
}

// checks are the figures that ask for somebody, the most urgent first.
func (f *figures) checks() []check {
	of := func(state string) (n int, oldest *time.Time) {
		for _, u := range f.Unsettled {
			if u.State == state {
				return u.Posts, u.Oldest
			}
		}
		return 0, nil
	}
	all := []check{
		{badge{Tone: "bad"}, "Overdue", f.Overdue.Posts, f.Overdue.Oldest, "Their time has passed, and their owners were told nothing. Does a publisher run, and is it ready?", "threads doctor"},
		{badge{Tone: "bad"}, "Parked", 0, nil, "Nobody could find out whether they are live. Look at the profile, and say it; none is posted again on its own.", "threads reconcile"},
		{badge{Tone: "warn"}, "Unconfirmed", 0, nil, "They were sent, and Threads is being asked whether they are live. Nothing is lost, and nothing goes out twice.", "threads explain POST"},
		{badge{Tone: "warn"}, "Waiting", 0, nil, "They are held up by something that their owners were told: a quota, a pause, a reconnect, an outage.", "threads explain POST"},
		{badge{Tone: "bad"}, "Dead letters", f.DeadLetters, nil, "Messages that nobody could handle. Mend the cause, and give them back.", "threads dead list"},
		{badge{Tone: "warn"}, "Events to apply", f.Behind, nil, "The rows are behind the events. Is Postgres slow?", "nats consumer info EVENTS publisher-recorder"},
		{badge{Tone: "bad"}, "Events set aside", f.Skipped, nil, "Events that this version could not read or write. A rebuild shows them, and what the rows miss.", "threads rebuild"},
	}
	for i := range all {
		one := &all[i]
		switch one.Name {
		case "Parked", "Unconfirmed", "Waiting":
			one.Count, one.Oldest = of(strings.ToLower(one.Name))
		}
		one.Badge.Icon, one.Badge.Word = "eye", number(float64(one.Count))
		if one.Count == 0 {
			one.Badge = badge{"good", "check", "None"}
		}
	}
	return all
}

// Middle is where its label is.
func (b bar) Middle() float64 { return b.X + b.Width/2 }

const histogramWidth, histogramHeight = 600.0, 150.0

// bars draws the histogram of lateness.
func (f *figures) bars() []bar {
	if f.Lateness.Posts == 0 {
		return nil
	}
	most := 1
	for _, b := range f.Lateness.Buckets {
		most = max(most, b.Posts)
	}
	step := histogramWidth / float64(len(f.Lateness.Buckets))
	list := make([]bar, len(f.Lateness.Buckets))
	for i, b := range f.Lateness.Buckets {
		height := float64(b.Posts) / float64(most) * histogramHeight
		if b.Posts > 0 {
			height = max(height, 2) // one among thousands is still to be seen
		}
		name, label := "more", "more"
		if b.UpToMs > 0 {
			label = shortly(time.Duration(b.UpToMs * float64(time.Millisecond)))
			name = "≤ " + label
		}
		list[i] = bar{name, label, b.Posts, fmt.Sprintf("%.1f %%", float64(b.Posts)*100/float64(f.Lateness.Posts)), float64(i)*step + 3, histogramHeight - height, step - 6, height}
	}
	return list
}

// shortly is a stretch of time in a few characters.
func shortly(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%g s", d.Seconds())
	}
	return fmt.Sprintf("%g min", d.Minutes())
}
