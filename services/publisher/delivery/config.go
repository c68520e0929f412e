package delivery

import (
	"cmp"
	"fmt"
	"time"

	"github.com/omni-write/threads/internal/posts"
	"github.com/omni-write/threads/internal/threads"
	"github.com/omni-write/threads/internal/threads/breaker"
)

// Config is how posts are delivered. Zero values mean the default. The waits that keep a post from going out
// twice have floors that production should not go under; tests shrink them together with the simulator's delays.
type Config struct {
	// APIURL is Threads' own when empty; the simulator's otherwise.
	APIURL string `env:"THREADS_API_URL"`

	// LeadText, LeadImage and LeadVideo are how long before its time a post's container is built: up to a quarter later, spread
	// over the posts, so that those of one second are not built in one second.
	LeadText  time.Duration `env:"PUBLISHER_LEAD_TEXT" envDefault:"5m"`
	LeadImage time.Duration `env:"PUBLISHER_LEAD_IMAGE" envDefault:"5m"`
	LeadVideo time.Duration `env:"PUBLISHER_LEAD_VIDEO" envDefault:"15m"`

	// ArmHorizon is how far ahead of its time a post has an alarm; the sweep arms the others as their time comes near.
	ArmHorizon time.Duration `env:"PUBLISHER_ARM_HORIZON" envDefault:"48h"`
	// SweepEvery is how often the table is searched for posts that nobody woke. Floor 1s.
	SweepEvery time.Duration `env:"PUBLISHER_SWEEP_EVERY" envDefault:"10s"`
	// SweepGrace is how long after its wake-up time a post counts as forgotten.
	SweepGrace time.Duration `env:"PUBLISHER_SWEEP_GRACE" envDefault:"2s"`

	// LateAfter is how much a post must be overdue to count as held up by an outage; such posts of one account go out
	// Spacing apart, so that a day's queue does not come down at once.
	LateAfter time.Duration `env:"PUBLISHER_LATE_AFTER" envDefault:"1m"`
	Spacing   time.Duration `env:"PUBLISHER_SPACING" envDefault:"10s"`

	// Lease is how long a post is one worker's without a renewal. Floor 5s: a pause of the garbage collector or
	// of Postgres must not cost it.
	Lease time.Duration `env:"PUBLISHER_LEASE" envDefault:"15s"`
	// ClaimLead is how long before its time a post is claimed, so that the call can leave on the instant, or up to 100 ms before
	// that, together with others. From 0s to 1s.
	ClaimLead time.Duration `env:"PUBLISHER_CLAIM_LEAD" envDefault:"150ms"`
	// CallTimeout bounds the publish call. Floor 120s: a publish took 222 s once.
	CallTimeout time.Duration `env:"PUBLISHER_CALL_TIMEOUT" envDefault:"120s"`
	// CallsInFlight and CallsPerAccount bound the publish calls of this process. At least 1.
	CallsInFlight   int `env:"PUBLISHER_CALLS_IN_FLIGHT" envDefault:"128"`
	CallsPerAccount int `env:"PUBLISHER_CALLS_PER_ACCOUNT" envDefault:"4"`

	// CreationsInFlight and CreationsPerAccount bound what this process prepares at the same time: the calls that make
	// containers and read their status. Posts with media are counted apart from an account's others. A user has
	// half of all at most, or what one account may have. At least 1.
	CreationsInFlight   int `env:"PUBLISHER_CREATIONS_IN_FLIGHT" envDefault:"256"`
	CreationsPerAccount int `env:"PUBLISHER_CREATIONS_PER_ACCOUNT" envDefault:"8"`

	// SecondCallAfter is how long after the deadline of an unanswered call the container may be published again.
	// Floor 150s.
	SecondCallAfter time.Duration `env:"PUBLISHER_SECOND_CALL_AFTER" envDefault:"150s"`
	// FinishedApart is how far apart two readings of FINISHED must be before a second call. Floor 60s.
	FinishedApart time.Duration `env:"PUBLISHER_FINISHED_APART" envDefault:"60s"`
	// ConfirmFor is how long an unknown outcome is asked about before a person must look. Floor 1h.
	ConfirmFor time.Duration `env:"PUBLISHER_CONFIRM_FOR" envDefault:"24h"`

	// BreakerAfter is how many calls to a host must fail in a row before it counts as down (those in which Threads fetches
	// media count once an account), BreakerRetry how long it is
	// then left alone before a few calls try it again. At least 1.
	BreakerAfter int           `env:"PUBLISHER_BREAKER_AFTER" envDefault:"10"`
	BreakerRetry time.Duration `env:"PUBLISHER_BREAKER_RETRY" envDefault:"5s"`

	// ThrottleWait is how long a throttled post waits when Threads does not say, QuotaLook how often a full quota is looked
	// at again.
	ThrottleWait time.Duration `env:"PUBLISHER_THROTTLE_WAIT" envDefault:"1m"`
	QuotaLook    time.Duration `env:"PUBLISHER_QUOTA_LOOK" envDefault:"30m"`

	// RefLook is how often, at least, a post that waits for another is looked at.
	RefLook time.Duration `env:"PUBLISHER_REF_LOOK" envDefault:"30s"`

	// PermalinkWait is how long PostPublished waits for a permalink that lags behind the post.
	PermalinkWait time.Duration `env:"PUBLISHER_PERMALINK_WAIT" envDefault:"5s"`

	RetentionConfig

	// Slots is how many wake-ups a process has in hand at once; 0: 2048. A test has fewer.
	Slots int
}

// Mistakes names what is not valid.
func (c Config) Mistakes() (wrong []error) {
	for name, d := range map[string]time.Duration{
		"PUBLISHER_LEASE": c.Lease, "PUBLISHER_SWEEP_EVERY": c.SweepEvery, "PUBLISHER_CALL_TIMEOUT": c.CallTimeout,
		"PUBLISHER_SWEEP_GRACE": c.SweepGrace, "PUBLISHER_SECOND_CALL_AFTER": c.SecondCallAfter, "PUBLISHER_FINISHED_APART": c.FinishedApart,
		"PUBLISHER_LEAD_TEXT": c.LeadText, "PUBLISHER_LEAD_IMAGE": c.LeadImage, "PUBLISHER_LEAD_VIDEO": c.LeadVideo,
		"PUBLISHER_LATE_AFTER": c.LateAfter, "PUBLISHER_SPACING": c.Spacing, "PUBLISHER_BREAKER_RETRY": c.BreakerRetry,
		"PUBLISHER_REF_LOOK": c.RefLook, "PUBLISHER_THROTTLE_WAIT": c.ThrottleWait, "PUBLISHER_QUOTA_LOOK": c.QuotaLook,
		"PUBLISHER_PERMALINK_WAIT": c.PermalinkWait, "PUBLISHER_ARM_HORIZON": c.ArmHorizon, "PUBLISHER_CONFIRM_FOR": c.ConfirmFor,
	} {
		if d <= 0 {
			wrong = append(wrong, fmt.Errorf("%s must be more than 0", name))
		}
	}
	if c.CallsInFlight < 1 || c.CallsPerAccount < 1 {
		wrong = append(wrong, fmt.Errorf("PUBLISHER_CALLS_IN_FLIGHT and PUBLISHER_CALLS_PER_ACCOUNT must be at least 1"))
	}
	if c.CreationsInFlight < 1 || c.CreationsPerAccount < 1 {
		wrong = append(wrong, fmt.Errorf("PUBLISHER_CREATIONS_IN_FLIGHT and PUBLISHER_CREATIONS_PER_ACCOUNT must be at least 1"))
	}
	wrong = append(wrong, c.retentionMistakes()...)
	if c.BreakerAfter < 1 {
		wrong = append(wrong, fmt.Errorf("PUBLISHER_BREAKER_AFTER must be at least 1"))
	}
	if c.ClaimLead < 0 || c.ClaimLead > posts.Hold {
		wrong = append(wrong, fmt.Errorf("PUBLISHER_CLAIM_LEAD must be from 0 to %s", posts.Hold))
	}
	return wrong
}

// UnderFloor names the waits that are shorter than production should ever have them: tests shrink them, together with
// the simulator's delays.
func (c Config) UnderFloor() (names []string) {
	for _, w := range []struct {
		name      string
		is, least time.Duration
	}{
		{"PUBLISHER_LEASE", c.Lease, 5 * time.Second},
		{"PUBLISHER_SWEEP_EVERY", c.SweepEvery, time.Second},
		{"PUBLISHER_CALL_TIMEOUT", c.CallTimeout, 2 * time.Minute},
		{"PUBLISHER_SECOND_CALL_AFTER", c.SecondCallAfter, 150 * time.Second},
		{"PUBLISHER_FINISHED_APART", c.FinishedApart, time.Minute},
		{"PUBLISHER_CONFIRM_FOR", c.ConfirmFor, time.Hour},
	} {
		if w.is < w.least {
			names = append(names, w.name)
		}
	}
	return names
}

// Wakes is how many wake-ups a process has in hand at once.
func (c Config) Wakes() int { return cmp.Or(c.Slots, 2048) }

const (
	// questionsPerAccount bounds what is asked at the same time about an account's posts whose outcome is not known, or
	// which are being deleted.
	questionsPerAccount = 4
	// permalinksPerAccount bounds how many posts of an account wait for their permalink before they are emitted as published.
	permalinksPerAccount = 32
	// farthestCreation is the latest appointment of a post that waits to be prepared.
	farthestCreation = 2 * time.Minute
	// maxRebuilds and maxCalls bound what is tried for one post.
	maxRebuilds = 2
	maxCalls    = 6
)

// notReadyWaits are the pauses before the same container is published again after 24/4279009, which Threads
// answers for the first seconds of a container's life (reference: threads-api §4.11).
var notReadyWaits = []time.Duration{2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second}

// Timing is what of the configuration a post itself goes by.
func (c Config) Timing() posts.Timing {
	return posts.Timing{LeadText: c.LeadText, LeadImage: c.LeadImage, LeadVideo: c.LeadVideo, PermalinkWait: c.PermalinkWait}
}

// RetentionConfig is how long the publisher keeps what grows with every post and is of use for a while only.
type RetentionConfig struct {
	// CommandsKept is how long it is kept what became of a command, and with it an Idempotency-Key, after its end. 0: for
	// ever, otherwise at least 24h, which docs/api.md promises.
	CommandsKept time.Duration `env:"PUBLISHER_COMMANDS_KEPT" envDefault:"720h"`
	// AttemptsKept is how long the log of what was tried for a post is kept after its last change, once it is final.
	// 0: for ever.
	AttemptsKept time.Duration `env:"PUBLISHER_ATTEMPTS_KEPT" envDefault:"2160h"`
}

// keysPromised is how long an Idempotency-Key is good at least.
const keysPromised = 24 * time.Hour

func (c RetentionConfig) retentionMistakes() (wrong []error) {
	if c.CommandsKept != 0 && c.CommandsKept < keysPromised {
		wrong = append(wrong, fmt.Errorf("PUBLISHER_COMMANDS_KEPT must be 0, or at least %s", keysPromised))
	}
	if c.AttemptsKept < 0 {
		wrong = append(wrong, fmt.Errorf("PUBLISHER_ATTEMPTS_KEPT must not be less than 0"))
	}
	return wrong
}

// Threads is the configuration of the client that the publisher needs.
func (c Config) Threads() threads.Config {
	return threads.Config{BaseURL: c.APIURL, PublishTimeout: c.CallTimeout, Wrap: breaker.New(c.BreakerAfter, c.BreakerRetry, errLeaseOver).Guard}
}
