package threadssim

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/omni-write/threads/internal/threads/probe"
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
	// AppName is what people read when the app asks for their consent. Default: Omni Write.
	AppName string
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
	// PublicURL, e.g. http://localhost:9099, is where browsers reach the simulator: what is given out for them, permalinks and
	// pictures, begins with it. Default: the host the request came to.
	PublicURL string
	// PermalinkBase, e.g. https://www.threads.com, begins permalinks in its place.
	PermalinkBase string
	// FetchMedia makes creation fetch media URLs, as Threads does. Off by default: a demo may be offline, and whoever
	// can reach the simulator could make it fetch anything.
	FetchMedia bool
	// MediaNetworks are networks besides the public internet that media are fetched from: an address is chosen by whoever
	// can reach the simulator.
	MediaNetworks []netip.Prefix
	// Hosts are the names, besides localhost and bare addresses, under which the simulator's own side may be called.
	Hosts []string
	// Knobs are those to start with and to come back to, e.g. Realistic(). Nil: Quick() with the five fields above.
	Knobs *Knobs
	// Seed begins the generator of whatever is left to chance. The same seed and the same calls give the same outcome.
	Seed uint64
	// UninstallURL and DataDeletionURL are told when a person removes the app or asks for the deletion of their data.
	UninstallURL    string
	DataDeletionURL string
	// CallbackHosts are the hosts, besides this machine, that may be told about events: a webhook's address is chosen by
	// whoever can reach the simulator.
	CallbackHosts []string
	// Journal is a file for everything that must survive the process. Empty: memory only.
	Journal string
}

// Processing holds the time a container takes by its media type; 0 is the default, below 0 is at once.
type Processing struct {
	Text  time.Duration // default 200 ms; carousels take this long too
	Image time.Duration // default at once
	Video time.Duration // default at once
}

// Sim is a simulated Threads: what it knows is the store, what it serves are the API, the authorization window, the pages
// and its own side, and what it sends are webhooks and callbacks. Its methods are what a test may ask and do.
type Sim struct {
	opts      Options
	store     *store
	api       *api
	window    oauthWindow
	pages     pages
	webhooks  *webhooks
	sender    *webhookSender
	callbacks *callbackSender
	routes    http.Handler
}

// New builds a simulator and replays its journal if it has one.
func New(opts Options) (*Sim, error) {
	if opts.AppID == "" {
		opts.AppID = DefaultAppID
	}
	if opts.AppSecret == "" {
		opts.AppSecret = DefaultAppSecret
	}
	if opts.AppName == "" {
		opts.AppName = "Omni Write"
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	start := opts.knobs()
	if err := start.check(); err != nil {
		return nil, fmt.Errorf("simulator knobs: %w", err)
	}
	now := &simClock{base: opts.Now}
	db := &store{clock: now, start: start}
	db.forget(opts.Seed)
	id := app{id: opts.AppID, secret: opts.AppSecret, name: opts.AppName, redirectURIs: opts.RedirectURIs}
	public := strings.TrimRight(opts.PublicURL, "/")
	links := addresses{permalinks: cmp.Or(strings.TrimRight(opts.PermalinkBase, "/"), public), pictures: public}
	sender := &webhookSender{clock: now, secret: opts.AppSecret}
	s := &Sim{
		opts:  opts,
		store: db,
		api: &api{
			store: db, app: id, links: links,
			fetcher: mediaFetcher{probe.Client(probe.Config{Allow: opts.MediaNetworks, AnyPort: true})},
		},
		window:   oauthWindow{store: db, app: id, links: links, autoApprove: opts.AutoApprove},
		pages:    pages{store: db, links: links},
		webhooks: &webhooks{store: db, app: id, links: links, sender: sender, hosts: opts.CallbackHosts},
		sender:   sender,
		callbacks: &callbackSender{
			store: db, app: id, hosts: opts.CallbackHosts,
			uninstall: opts.UninstallURL, dataDeletion: opts.DataDeletionURL,
		},
	}
	db.announce = s.webhooks.announce
	s.routes = ownSide{hosts: opts.Hosts}.guard(s.table())
	if opts.Journal != "" {
		j, err := openJournal(opts.Journal, db.replay)
		if err != nil {
			return nil, fmt.Errorf("simulator journal: %w", err)
		}
		db.journal = j
	}
	return s, nil
}

// Close ends the deliveries and closes the journal. Calls that change something are refused afterwards.
func (s *Sim) Close() error {
	s.sender.close()
	return s.store.close()
}

// knobs are what these options ask for.
func (o Options) knobs() Knobs {
	if o.Knobs != nil {
		return *o.Knobs
	}
	k := Quick()
	takes := func(d time.Duration, into ...*Span) {
		for _, span := range into {
			if d != 0 {
				*span = Always(max(d, 0))
			}
		}
	}
	takes(o.Processing.Text, &k.ProcessingTime.Text, &k.ProcessingTime.Carousel)
	takes(o.Processing.Image, &k.ProcessingTime.Image)
	takes(o.Processing.Video, &k.ProcessingTime.Video)
	k.PermalinkLag, k.ListLag, k.VisibilityDelay = Always(o.PermalinkLag), Always(o.ListLag), Always(o.VisibilityDelay)
	k.FetchMedia = o.FetchMedia
	return k
}

// Reset forgets everything that happened, on the journal too, and comes back to the knobs, the seed and the clock of the
// start.
func (s *Sim) Reset() error {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	if err := s.store.reset(s.opts.Seed); err != nil {
		return err
	}
	s.api.faults.restart()
	s.api.log.clear()
	s.api.mistakes.clear()
	s.sender.clear()
	s.callbacks.clear()
	return nil
}
