// Package signin finds out who is asking: bearer tokens, the issuer's keys, and which kinds of tokens are meant for this API.
package signin

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/zap"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/services/gateway/edge"
	"github.com/omni-write/threads/services/gateway/weburl"
)

// leeway is how far the issuer's clock may be from ours. Clerk's tokens live a minute; more would stretch them much.
const leeway = 10 * time.Second

// maxToken is the most that a bearer token may have; Clerk's have about 1 KiB. More is not even decoded.
const maxToken = 8 << 10

// Verifier finds out who a bearer token stands for. There is no way to turn it off: a gateway without an issuer of its own
// runs the small one of standalone.
type Verifier struct {
	keys     *Keys
	find     keyfunc.Keyfunc
	parser   *jwt.Parser
	audience bool // whether the parser looks for one
	parties  []string
	operator OperatorClaim
	verified *verified
	log      *zap.Logger
}

// Options say which tokens are meant for this API.
type Options struct {
	Issuer            string
	Audience          []string // of which a token must name one; none: a token must have none
	AuthorizedParties []string // of which a token must name one; none: all
	Operator          OperatorClaim
	Log               *zap.Logger
	Now               func() time.Time
}

// NewVerifier makes a verifier that knows the given keys.
func NewVerifier(o Options, k *Keys) *Verifier {
	options := []jwt.ParserOption{
		// The list, not the token, says what is a signature: none and HS256 with the public key as secret are not.
		jwt.WithValidMethods([]string{"RS256", "ES256", "EdDSA"}),
		jwt.WithIssuer(o.Issuer), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(o.Now),
	}
	audience := weburl.Trimmed(o.Audience)
	if len(audience) > 0 {
		options = append(options, jwt.WithAudience(audience...))
	}
	find, err := keyfunc.New(keyfunc.Options{Storage: k})
	if err != nil {
		panic(err) // only without a storage
	}
	return &Verifier{
		keys: k, find: find, parser: jwt.NewParser(options...), audience: len(audience) > 0, parties: weburl.Trimmed(o.AuthorizedParties),
		operator: o.Operator, verified: newVerified(k, o.Now), log: o.Log,
	}
}

// Session is who a bearer token stands for, and until when.
type Session struct {
	User  string
	Until time.Time
	As    string // how the person knows this sign-in
	// Operator says that it is somebody who runs the system.
	Operator bool
}

// Session is what the Authorization header stands for. Its error is a Fault.
func (v *Verifier) Session(ctx context.Context, header string) (Session, error) {
	scheme, token, _ := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return Session{}, edge.NotSignedIn(edge.TokenMissing)
	}
	if len(token) > maxToken {
		return Session{}, edge.NotSignedIn(edge.TokenInvalid)
	}
	if !v.keys.Loaded() {
		if err := v.keys.readOnDemand(ctx); err != nil || !v.keys.Loaded() {
			return Session{}, events.Faultf(events.Unavailable, "We cannot check who you are at the moment; please try again shortly.").After(keysRetry)
		}
	}
	if s, ok := v.verified.find(token); ok {
		return s, nil
	}
	reading, since := v.keys.readings.Load(), v.verified.now()
	var c claims
	parsed, err := v.parser.ParseWithClaims(token, &c, v.find.KeyfuncCtx(ctx))
	switch {
	case errors.Is(err, jwt.ErrTokenExpired) && errorsOnly(err, jwt.ErrTokenExpired):
		return Session{}, edge.NotSignedIn(edge.TokenExpired)
	case err != nil || !usableID(c.Subject):
		return Session{}, edge.NotSignedIn(edge.TokenInvalid)
	}
	if why := v.wrongKind(parsed.Header, c); why != "" {
		// The issuer signed it, so this is most likely a setting that does not fit, and nobody else is told why.
		v.log.Debug("a token of the issuer is not meant for this API", zap.String("because_of", why))
		return Session{}, edge.NotSignedIn(edge.TokenInvalid)
	}
	if c.SessionStatus == "pending" {
		return Session{}, edge.NotSignedIn(edge.SessionPending)
	}
	s := Session{User: c.Subject, Until: c.ends(), As: c.knownAs(), Operator: v.operator.holds(token)}
	v.verified.keep(token, s, reading, since)
	return s, nil
}

// knownAs is how a person knows this sign-in. An address of email that nobody has verified may be anybody's.
func (c claims) knownAs() string {
	if email, ok := c.Email.(string); ok && c.EmailVerified == true && usableID(email) {
		return email
	}
	return c.Subject
}

// errorsOnly says that a token, whose signature is good, has no other flaw than this one: what is expired and also for
// somebody else does not get better by a new sign-in.
func errorsOnly(err, only error) bool {
	for _, other := range []error{
		jwt.ErrTokenMalformed, jwt.ErrTokenUnverifiable, jwt.ErrTokenSignatureInvalid, jwt.ErrTokenInvalidAudience,
		jwt.ErrTokenInvalidIssuer, jwt.ErrTokenNotValidYet, jwt.ErrTokenUsedBeforeIssued, jwt.ErrTokenRequiredClaimMissing,
		errUnwritable,
	} {
		if !errors.Is(only, other) && errors.Is(err, other) {
			return false
		}
	}
	return true
}

// usableID holds a subject to what OpenID Connect allows: 255 characters. It goes into rows and logs.
func usableID(sub string) bool {
	return sub != "" && len(sub) <= 255 && !strings.ContainsFunc(sub, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsPrint(r) })
}

type userKey struct{}

// UserOf is who asks, on routes that require it.
func UserOf(ctx context.Context) string {
	return SessionOf(ctx).User
}

// SessionOf is who asks, and until when they are signed in.
func SessionOf(ctx context.Context) Session {
	who, _ := ctx.Value(userKey{}).(Session)
	return who
}

// Required marks the operations that require a bearer token, for the API description and for requireUser.
var Required = []map[string][]string{{"bearer": {}}}

// RequiredOrTicket marks those that take a ticket in the token's place; their handlers redeem it.
var RequiredOrTicket = []map[string][]string{{"bearer": {}}, {"ticket": {}}}

func takesTicket(ctx huma.Context) bool {
	return len(ctx.Operation().Security) == len(RequiredOrTicket) && ctx.Query("ticket") != ""
}

// RequireUser lets only signed-in users through to the operations that say so.
func (v *Verifier) RequireUser(api huma.API, e *edge.Edge) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		if len(ctx.Operation().Security) == 0 || takesTicket(ctx) {
			next(ctx)
			return
		}
		who, err := v.whoAsks(ctx)
		if err != nil {
			e.RejectUnauthenticated(api, ctx, err)
			return
		}
		edge.InfoOf(ctx.Context()).User = who.User
		next(huma.WithValue(ctx, userKey{}, who))
	}
}

// whoAsks is who the request says that it comes from. It says that once: of two headers, a proxy might look at the other.
func (v *Verifier) whoAsks(ctx huma.Context) (Session, error) {
	r, _ := humago.Unwrap(ctx)
	if len(r.Header.Values("Authorization")) > 1 {
		return Session{}, edge.NotSignedIn(edge.TokenInvalid)
	}
	return v.Session(ctx.Context(), ctx.Header("Authorization"))
}
