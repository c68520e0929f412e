package threadssim

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// The app's pair when Options leave it out.
const (
	DefaultAppID     = "1234567890123457"
	DefaultAppSecret = "simulated-app-secret"
)

// Options are the knobs that stay as they are. The zero value is a working simulator.
type Options struct {
	// AppID and AppSecret are the pair that token calls must present. Default: DefaultAppID, DefaultAppSecret.
	AppID     string
	AppSecret string
	// RedirectURIs are the registered ones, compared byte for byte. Empty: any http(s) address.
	RedirectURIs []string
	// AutoApprove answers the authorization window with a code at once, for the user of the username parameter or
	// demo.user, so that a demo needs no click. Off: the window asks.
	AutoApprove bool
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Processing is how long containers stay IN_PROGRESS.
	Processing Processing
	// PermalinkLag is how long a fresh post has no permalink; ListLag how long lists do not show it; VisibilityDelay how
	// long publishing a fresh container answers 24/4279009, whatever its status says. Default 0.
	PermalinkLag    time.Duration
	ListLag         time.Duration
	VisibilityDelay time.Duration
	// PermalinkBase, e.g. https://www.threads.com, begins permalinks. Default: the host the request came to.
	PermalinkBase string
	// FetchMedia makes creation fetch media URLs, as Threads does. Off by default: a demo may be offline, and whoever
	// can reach the simulator could make it fetch anything.
	FetchMedia bool
	// Journal is a file for everything that must survive the process. Empty: memory only.
	Journal string
}

// Processing holds the time a container takes by its media type; 0 is the default, below 0 is at once.
type Processing struct {
	Text  time.Duration // default 200 ms; carousels take this long too
	Image time.Duration // default 1 s
	Video time.Duration // default 20 s
}

// Sim is a simulated Threads. One mutex guards all state: every step of it is a few map operations.
type Sim struct {
	opts    Options
	routes  *http.ServeMux
	fetcher *http.Client

	mu         sync.Mutex
	ids        ids
	users      map[string]*user
	byName     map[string]*user
	tokens     map[digest]*token
	codes      map[digest]*code
	containers map[string]*container
	media      map[string]*media
	byShort    map[string]*media
	order      []*media     // in the order of their commits
	built      []*container // in the order of their creation
	faults     []*armedFault
	faultSeq   int
	calls      callRing
	journal    *journal
}

// New builds a simulator and replays its journal if it has one.
func New(opts Options) (*Sim, error) {
	if opts.AppID == "" {
		opts.AppID = DefaultAppID
	}
	if opts.AppSecret == "" {
		opts.AppSecret = DefaultAppSecret
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	orDefault := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	orDefault(&opts.Processing.Text, 200*time.Millisecond)
	orDefault(&opts.Processing.Image, time.Second)
	orDefault(&opts.Processing.Video, 20*time.Second)

	s := &Sim{
		opts:       opts,
		fetcher:    &http.Client{Timeout: 10 * time.Second},
		users:      map[string]*user{},
		byName:     map[string]*user{},
		tokens:     map[digest]*token{},
		codes:      map[digest]*code{},
		containers: map[string]*container{},
		media:      map[string]*media{},
		byShort:    map[string]*media{},
	}
	s.routes = s.table()
	if opts.Journal != "" {
		j, err := openJournal(opts.Journal, s.replay)
		if err != nil {
			return nil, fmt.Errorf("simulator journal: %w", err)
		}
		s.journal = j
	}
	return s, nil
}

// Close closes the journal. Calls that change something are refused afterwards.
func (s *Sim) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.journal == nil {
		return nil
	}
	return s.journal.close()
}

func (s *Sim) now() time.Time { return s.opts.Now().UTC() }
