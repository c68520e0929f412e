package engagement

import (
	"fmt"
	"time"
)

// Config is how the publisher reads figures, limits and history for the owners of accounts.
type Config struct {
	// ReadsKept is how long figures and limits that were read from Threads are good for whoever asks next. 0: not at all.
	ReadsKept time.Duration `env:"PUBLISHER_READS_KEPT" envDefault:"30s"`

	// InsightsEvery is how often the figures of each account and of its latest posts are kept, without anybody asking.
	// 0: never.
	InsightsEvery time.Duration `env:"PUBLISHER_INSIGHTS_EVERY" envDefault:"24h"`
	// InsightsPosts is how many of an account's posts of the last month that is. At least 1.
	InsightsPosts int `env:"PUBLISHER_INSIGHTS_POSTS" envDefault:"25"`
	// InsightsSpacing is the pause between two calls for one account. 0: none.
	InsightsSpacing time.Duration `env:"PUBLISHER_INSIGHTS_SPACING" envDefault:"1s"`
	// InsightsAtOnce is how many accounts are read at a time. At least 1.
	InsightsAtOnce int `env:"PUBLISHER_INSIGHTS_AT_ONCE" envDefault:"2"`
	// InsightsKept is how long figures are kept. 0: for ever.
	InsightsKept time.Duration `env:"PUBLISHER_INSIGHTS_KEPT" envDefault:"9600h"`

	// HistorySettle is how old a post must be to be imported: a younger one may be ours, about to be noted as such.
	// 0: none is too young.
	HistorySettle time.Duration `env:"PUBLISHER_HISTORY_SETTLE" envDefault:"10m"`
	// HistoryPages is the most pages of 100 posts that one import reads. At least 1.
	HistoryPages int `env:"PUBLISHER_HISTORY_PAGES" envDefault:"200"`
}

func (c Config) Mistakes() (wrong []error) {
	for _, d := range []struct {
		name string
		is   time.Duration
	}{
		{"PUBLISHER_READS_KEPT", c.ReadsKept}, {"PUBLISHER_INSIGHTS_EVERY", c.InsightsEvery},
		{"PUBLISHER_INSIGHTS_SPACING", c.InsightsSpacing}, {"PUBLISHER_INSIGHTS_KEPT", c.InsightsKept},
		{"PUBLISHER_HISTORY_SETTLE", c.HistorySettle},
	} {
		if d.is < 0 {
			wrong = append(wrong, fmt.Errorf("%s must not be less than 0", d.name))
		}
	}
	for _, n := range []struct {
		name string
		is   int
	}{
		{"PUBLISHER_INSIGHTS_POSTS", c.InsightsPosts}, {"PUBLISHER_INSIGHTS_AT_ONCE", c.InsightsAtOnce},
		{"PUBLISHER_HISTORY_PAGES", c.HistoryPages},
	} {
		if n.is < 1 {
			wrong = append(wrong, fmt.Errorf("%s must be at least 1", n.name))
		}
	}
	return wrong
}
