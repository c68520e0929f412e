package edge

import (
	"errors"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/omni-write/threads/events"
)

// ValidateRequest refuses, before anything is done, what leaves open what is meant: an address that cannot be read, a parameter
// that comes twice, an answer in a form that we do not have, a body that is too large.
func (e *Edge) ValidateRequest(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, _ := humago.Unwrap(ctx)
		op := ctx.Operation()
		var found error
		if !strings.HasPrefix(op.Path, e.BrowserRoutes) { // a person's browser comes there, and ends at the frontend whatever is wrong
			found = checkAddress(r, op)
		}
		for _, check := range []func(*http.Request, *huma.Operation) error{checkHeaders, checkAccept, checkLength} {
			if found == nil {
				found = check(r, op)
			}
		}
		if found != nil {
			_ = huma.WriteErr(api, ctx, http.StatusInternalServerError, "", found)
			return
		}
		next(ctx)
	}
}

// checkAddress wants text in the query, and each parameter once. An id in the path that is none is missing, like any other.
func checkAddress(r *http.Request, op *huma.Operation) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return UnreadableAddress()
	}
	for name, values := range query {
		if !Storable(name) || slices.ContainsFunc(values, func(v string) bool { return !Storable(v) }) {
			return UnreadableAddress()
		}
	}
	if len(op.Security) > 0 { // what Meta sends, and links that people follow, may have more
		if err := checkParameters(query, op); err != nil {
			return err
		}
	}
	for _, p := range op.Parameters {
		if p.In == "query" && query.Has(p.Name) && query.Get(p.Name) == "" && needsValue(p, op) {
			sentence := "This parameter has no value, which may mean either; say which, or leave it out."
			return events.Faultf(events.Invalid, "%s", sentence).At("/"+p.Name, "empty_parameter", sentence)
		}
		if p.In == "query" && len(query[p.Name]) > 1 && (p.Schema == nil || p.Schema.Type != huma.TypeArray) {
			const sentence = "This parameter is in the address more than once; say it once."
			return events.Faultf(events.Invalid, sentence).At("/"+p.Name, "repeated_parameter", sentence)
		}
	}
	return nil
}

// needsValue says of a parameter that to write it without a value is not to leave it out: many take ?preview for preview=true, and
// what changes something must not do the usual thing for who began to say another.
func needsValue(p *huma.Param, op *huma.Operation) bool {
	return p.Schema != nil && (p.Schema.Type == huma.TypeBoolean || changesSomething(op.Method) && len(p.Schema.Enum) > 0)
}

// checkParameters refuses a parameter that is not known: most likely it is one, misspelled, and without it the request means another
// thing.
func checkParameters(query url.Values, op *huma.Operation) error {
	var known []string
	for _, p := range op.Parameters {
		if p.In == "query" {
			known = append(known, p.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if slices.Contains(known, name) {
			continue
		}
		sentence := "This parameter is not known here; take it out, or check its spelling: this address has no parameters."
		if len(known) > 0 {
			sentence = "This parameter is not known here; take it out, or check its spelling: there are " + strings.Join(known, ", ") + "."
		}
		pointer := "/" + name
		if len(name) > maxNamed {
			pointer = ""
		}
		return events.Faultf(events.Invalid, "%s", sentence).At(pointer, "unknown_parameter", sentence)
	}
	return nil
}

// maxNamed is how long a name may be that is said back.
const maxNamed = 64

// Storable says that a text is one: encoded as such, and without the character that no database takes.
func Storable(text string) bool { return utf8.ValidString(text) && !strings.ContainsRune(text, 0) }

// UnreadableAddress is the problem of an address that is not well encoded.
func UnreadableAddress() error {
	return NewProblem(http.StatusBadRequest, CodeUnreadable, "The address cannot be read",
		"The address is not well encoded, or contains U+0000; encode it as UTF-8, with percent signs.")
}

// checkHeaders wants those that say what is meant once, and no condition that would not be kept.
func checkHeaders(r *http.Request, op *huma.Operation) error {
	for _, name := range []string{"Idempotency-Key", "If-Match", "Content-Type"} {
		if len(r.Header.Values(name)) > 1 {
			const sentence = "This header is there more than once; say it once."
			return events.Faultf(events.Invalid, sentence).At("/"+name, "repeated_header", sentence)
		}
	}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return NewProblem(http.StatusUnsupportedMediaType, CodeMediaType, "The body is compressed", "Send the body without compression.")
	}
	if r.Header.Get("If-Match") != "" && changesSomething(op.Method) && !takesHeader(op, "If-Match") {
		const sentence = "This request cannot be made conditional; leave If-Match out."
		return events.Faultf(events.Invalid, sentence).At("/If-Match", "not_conditional", sentence)
	}
	return nil
}

func takesHeader(op *huma.Operation, name string) bool {
	return slices.ContainsFunc(op.Parameters, func(p *huma.Param) bool { return p.In == "header" && p.Name == name })
}

// checkAccept refuses to answer in a form that the client says it does not take, before anything is done. Problems come
// as problems all the same.
func checkAccept(r *http.Request, op *huma.Operation) error {
	var ours []string
	for status, answer := range op.Responses {
		switch {
		case strings.HasPrefix(status, "3"):
			if status != strconv.Itoa(http.StatusNotModified) {
				return nil // it sends on
			}
		case strings.HasPrefix(status, "2"):
			for name := range answer.Content {
				ours = append(ours, name)
			}
		}
	}
	accept := strings.Join(r.Header.Values("Accept"), ",")
	if accept == "" || len(ours) == 0 || slices.ContainsFunc(ours, func(offer string) bool { return takes(accept, offer) }) {
		return nil
	}
	slices.Sort(ours)
	return NewProblem(http.StatusNotAcceptable, CodeNotAcceptable, "There is no answer of that kind",
		"The answer to this request is "+strings.Join(slices.Compact(ours), " or ")+"; allow that in Accept, or leave Accept out.")
}

// takes says whether an Accept header allows a media type. The range that says most about it counts; what cannot be read
// does not.
func takes(accept, offer string) bool {
	kind, _, _ := strings.Cut(offer, "/")
	best, allowed, readable := -1, false, false
	for part := range strings.SplitSeq(accept, ",") {
		name, params, err := mime.ParseMediaType(part)
		if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
			continue
		}
		readable = true
		rank := slices.Index([]string{"*/*", kind + "/*", offer}, name)
		if rank <= best {
			continue
		}
		q, err := strconv.ParseFloat(params["q"], 64)
		best, allowed = rank, err != nil || q > 0
	}
	return allowed || !readable
}

// checkLength refuses a body that is announced as too large without reading it.
func checkLength(r *http.Request, op *huma.Operation) error {
	if op.MaxBodyBytes > 0 && r.ContentLength >= op.MaxBodyBytes {
		return tooLarge(op)
	}
	return nil
}

// tooLarge names the limit of an operation. huma stops at its limit and not after it, so ours is one byte less.
func tooLarge(op *huma.Operation) *Problem {
	return NewProblem(http.StatusRequestEntityTooLarge, CodeTooLarge, "The request is too large",
		"The body of this request may have up to "+strconv.FormatInt(op.MaxBodyBytes>>10, 10)+" KiB.")
}

// ApplyDefaults gives every operation the limits of this gateway where it has none of its own, and says in the description what
// any of them may be answered with before it is reached.
func (e *Edge) ApplyDefaults(api huma.API) {
	const humasMaxBody, humasBodyTimeout = 1 << 20, 5 * time.Second // what huma fills in
	for _, item := range api.OpenAPI().Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Patch, item.Put, item.Delete} {
			if op == nil {
				continue
			}
			if op.MaxBodyBytes == humasMaxBody || op.MaxBodyBytes == 0 {
				op.MaxBodyBytes = e.Limits.MaxBody + 1
			}
			if op.BodyReadTimeout == humasBodyTimeout {
				op.BodyReadTimeout = e.Limits.BodyTimeout
			}
			op.Errors = append(op.Errors, commonErrors(op)...)
		}
	}
}

// commonErrors are the problems that an operation may be answered with whatever it does.
func commonErrors(op *huma.Operation) []int {
	all := []int{
		http.StatusBadRequest, http.StatusNotAcceptable, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong, http.StatusTooManyRequests,
	}
	if op.RequestBody != nil {
		all = append(all, http.StatusRequestTimeout)
		if !op.SkipValidateBody {
			all = append(all, http.StatusUnsupportedMediaType)
		}
	}
	if takesHeader(op, "If-Match") {
		all = append(all, http.StatusPreconditionFailed)
	}
	return all
}
