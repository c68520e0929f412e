// Package edge is what every request goes through, whatever it asks for: deadlines and limits, headers for browsers, strict
// JSON, rates, and one way of saying what is wrong. It knows no resource.
package edge

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"go.uber.org/zap"
)

// Options is what an Edge works with.
type Options struct {
	Limits      LimitsConfig
	CORSOrigins []string // exactly as browsers name them
	CORSHeaders []string // that their pages may send besides ours
	HTTPS       bool     // whether browsers reach us so
	Log         *zap.Logger
	Now         func() time.Time
	// MaxBody is the most bytes that any request's body may have; each operation has a limit of its own.
	MaxBody int64
	// Quiet is the pattern of the route whose requests are no news.
	Quiet string
	// BrowserRoutes begins the paths where a person's browser comes, that is sent on whatever is wrong. They act on GET, so
	// whoever only looks at such a link must not use up what it carries.
	BrowserRoutes string
	// BrowserEnd is where such a browser ends when it is turned away.
	BrowserEnd func(error) string
	// API begins the paths of the operations, which Admit gives their places.
	API string
	// Exempt says of a request that it costs nothing.
	Exempt func(*http.Request) bool
	// User is who makes a request; empty: nobody who is signed in.
	User func(context.Context) string
}

// Edge is what every request goes through.
type Edge struct {
	Options

	rates   ratePolicies
	places  *shares // of those that are worked on
	bodies  *shares // of the bytes of bodies
	trusted []netip.Prefix
}

// New makes an Edge.
func New(o Options) *Edge {
	return &Edge{
		Options: o, rates: newRatePolicies(o.Limits), trusted: o.Limits.trusted(),
		places: newShares(int64(o.Limits.MaxInFlight), leastPlaces), bodies: newShares(o.Limits.MaxBytesInFlight, 2*o.MaxBody),
	}
}
