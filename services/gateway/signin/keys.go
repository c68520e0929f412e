package signin

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"

	"github.com/omni-write/threads/internal/dial"
	"github.com/omni-write/threads/services/gateway/weburl"
)

const (
	// keysEvery is how often the issuer's keys are read anew: a key that it withdrew is good for no longer than that.
	keysEvery = 15 * time.Minute
	// keysRetry is how soon they are tried again while there are none at all.
	keysRetry = 2 * time.Second
	// fetchWithin bounds one reading.
	fetchWithin = 5 * time.Second
	// unknownEvery and unknownBurst bound the readings that unknown keys may cause: anybody can make up a key id, and
	// must not be able to drive our requests to the issuer.
	unknownEvery = 10 * time.Second
	unknownBurst = 3
	// waitForKeys is how long a request waits for such a reading, which goes on without it. An issuer that hangs must not hold
	// whoever shows a made-up key.
	waitForKeys = time.Second
	// minRSABits and minRSAExponent are what RFC 7518 asks of a key for RS256, and what makes its signature one.
	minRSABits, minRSAExponent = 2048, 3
)

// Keys are the issuer's public keys. They are read in the background and again when a token names a key that is not
// among them, so that a rotated-in key works at once. The gateway starts without them when the issuer is down.
//
// keyfunc's own storage would do nearly the same, but its waiting limit also cuts the reading short: with a limit small
// enough to turn forged key ids away at once, no rotation would ever be noticed.
type Keys struct {
	jwkset.Storage // in memory
	Issuer, url    string
	client         *http.Client
	unknown        *rate.Limiter
	reading        singleflight.Group
	have           atomic.Bool
	readings       atomic.Uint64 // how often they were read
}

// NewKeys are the keys of an issuer; they are read later. Without an address of theirs, the issuer is asked for it.
func NewKeys(issuer, url string) *Keys {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dial.Dialer(fetchWithin).DialContext, TLSHandshakeTimeout: fetchWithin,
		ResponseHeaderTimeout: fetchWithin, ForceAttemptHTTP2: true, HTTP2: dial.HTTP2(), IdleConnTimeout: time.Minute,
	}
	if weburl.IsFile(url) { // only the settings name a file: discovery and redirects lead to the web
		transport.RegisterProtocol("file", http.NewFileTransport(http.Dir("/"))) //nolint:gosec // the operator names the file
	}
	return &Keys{
		Storage: jwkset.NewMemoryStorage(), Issuer: issuer, url: url,
		client:  &http.Client{Timeout: fetchWithin, CheckRedirect: toHTTPS, Transport: transport},
		unknown: rate.NewLimiter(rate.Every(unknownEvery), unknownBurst),
	}
}

// toHTTPS follows redirects to https only: whoever is on the way of any other could put keys of their own in.
func toHTTPS(req *http.Request, via []*http.Request) error {
	const most = 5
	switch {
	case req.URL.Scheme != "https":
		return errors.New("it redirects to an address that is not https")
	case len(via) > most:
		return errors.New("its redirects do not end")
	}
	return nil
}

// Loaded says whether they were read at least once.
func (k *Keys) Loaded() bool { return k.have.Load() }

// KeyRead finds a key by its id, and reads the issuer's keys anew when it is unknown and the limit allows.
func (k *Keys) KeyRead(ctx context.Context, id string) (jwkset.JWK, error) {
	key, err := k.Storage.KeyRead(ctx, id)
	if !errors.Is(err, jwkset.ErrKeyNotFound) {
		return key, err
	}
	if err := k.readOnDemand(ctx); err != nil {
		return jwkset.JWK{}, err
	}
	return k.Storage.KeyRead(ctx, id)
}

// readOnDemand reads the keys unless that was done too often lately. Those who ask at the same time share one reading.
func (k *Keys) readOnDemand(ctx context.Context) error {
	read := k.reading.DoChan("", func() (any, error) {
		if !k.unknown.Allow() {
			return nil, nil //nolint:nilnil // what we have must do
		}
		return nil, k.Read(context.WithoutCancel(ctx)) // for all who share it, not only for the first
	})
	enough := time.NewTimer(waitForKeys)
	defer enough.Stop()
	select {
	case done := <-read:
		return done.Err
	case <-enough.C:
		return errSlow
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errSlow = errors.New("the issuer takes long to give its keys")

// KeepFresh reads the keys until ctx ends.
func (k *Keys) KeepFresh(ctx context.Context, log *zap.Logger) error {
	for {
		err := k.Read(ctx)
		if err != nil && ctx.Err() == nil {
			log.Warn("the issuer's keys could not be read; trying again", zap.Error(err))
		}
		next := time.NewTimer(keysEvery)
		if !k.Loaded() {
			next.Reset(keysRetry)
		}
		select {
		case <-ctx.Done():
			next.Stop()
			return nil
		case <-next.C:
		}
	}
}

// Read reads them from the issuer now.
func (k *Keys) Read(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, fetchWithin)
	defer cancel()
	url := k.url
	if url == "" {
		url = k.discover(ctx)
	}
	var set jwkset.JWKSMarshal
	if err := k.get(ctx, url, &set); err != nil {
		return fmt.Errorf("read the issuer's keys: %w", err)
	}
	var found []jwkset.JWK
	weak := 0
	for _, m := range set.Keys {
		if m.KTY == jwkset.KtyOct {
			continue // a shared secret proves nothing when it is published
		}
		if m.USE != "" && m.USE != jwkset.UseSig {
			continue // a key to encrypt with signs nothing
		}
		// Keys of kinds that we do not know are the issuer's business with others.
		key, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
		switch public, isRSA := key.Key().(*rsa.PublicKey); {
		case err != nil:
		case isRSA && (public.N.BitLen() < minRSABits || public.E < minRSAExponent):
			weak++
		default:
			found = append(found, key)
		}
	}
	if len(found) == 0 && weak > 0 {
		return fmt.Errorf("read the issuer's keys: its RSA keys have fewer than %d bits, or an exponent of 1", minRSABits)
	}
	if len(found) == 0 {
		return errors.New("read the issuer's keys: there are none that we can use")
	}
	if err := k.KeyReplaceAll(ctx, found); err != nil {
		return fmt.Errorf("keep the issuer's keys: %w", err)
	}
	k.have.Store(true)
	k.readings.Add(1)
	return nil
}

// discover asks the issuer where its keys are. Clerk and others that say nothing usable have them at the usual place.
func (k *Keys) discover(ctx context.Context) string {
	base := strings.TrimRight(k.Issuer, "/")
	var doc struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	err := k.get(ctx, base+"/.well-known/openid-configuration", &doc)
	if err != nil || doc.Issuer != k.Issuer || !weburl.IsWeb(doc.JWKSURI) || !k.Trusts(doc.JWKSURI) {
		return base + "/.well-known/jwks.json"
	}
	return doc.JWKSURI
}

// Trusts says whether keys may be read from where the discovery document says: an issuer over https has them over https.
func (k *Keys) Trusts(address string) bool {
	issuer, at := strings.HasPrefix(k.Issuer, "https:"), strings.HasPrefix(address, "https:")
	return at || !issuer && weburl.PrivateToRead(address)
}

func (k *Keys) get(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := k.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, resp.Status)
	}
	return json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(into)
}
