package threadssim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const maxBody = 1 << 20

// readParams gathers the parameters of a request as Threads does: from the query and from a form, multipart or JSON
// body. A Bearer token counts as access_token. It reads the body to its end, so what the caller's clock says
// afterwards is when the whole request had arrived.
func readParams(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	params := r.URL.Query()
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/json":
		if err := readJSON(r.Body, params); err != nil {
			return params, err
		}
	case "multipart/form-data":
		if err := r.ParseMultipartForm(maxBody); err != nil { //nolint:gosec // the body is bounded above
			return params, err
		}
		merge(params, r.MultipartForm.Value)
	default:
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return params, err
		}
		form, err := url.ParseQuery(string(raw))
		if err != nil {
			return params, err
		}
		merge(params, form)
	}
	gatherLists(params)
	if token, ok := bearer(r); ok {
		params.Set("access_token", token)
	}
	return params, nil
}

// bearer is the token of the Authorization header.
func bearer(r *http.Request) (string, bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(scheme, "Bearer")
}

// merge lets the body win over the query.
func merge(into, from url.Values) {
	for name, values := range from {
		if len(values) > 0 {
			into[name] = values
		}
	}
}

// listed are the parameters that are lists.
var listed = []string{"children", "allowlisted_country_codes", "fields", "metric"}

// gatherLists joins a list that came in pieces: as one name several times, or as name[] and name[0] in the way of PHP,
// which Graph understands too. Some clients send both at once, so that each item counts once.
func gatherLists(params url.Values) {
	for _, name := range listed {
		pieces := slices.Clone(params[name])
		pieces = append(pieces, params[name+"[]"]...)
		for i := 0; len(params[name+"["+strconv.Itoa(i)+"]"]) > 0; i++ {
			pieces = append(pieces, params.Get(name+"["+strconv.Itoa(i)+"]"))
		}
		if len(pieces) < 2 && params.Has(name) {
			continue
		}
		var items []string
		for _, piece := range pieces {
			if !slices.Contains(items, piece) {
				items = append(items, piece)
			}
		}
		if len(items) > 0 {
			params.Set(name, strings.Join(items, ","))
		}
	}
}

// readJSON takes an object. Plain lists become comma-separated; objects, and lists of them, become JSON in a string, as
// in a form; numbers keep their digits.
func readJSON(body io.Reader, into url.Values) error {
	decoder := json.NewDecoder(body)
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for name, value := range object {
		text, err := asParam(value)
		if err != nil {
			return err
		}
		if value != nil {
			into.Set(name, text)
		}
	}
	_, err := io.Copy(io.Discard, body)
	return err
}

func asParam(value any) (string, error) {
	switch v := value.(type) {
	case map[string]any:
		raw, err := json.Marshal(v)
		return string(raw), err
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			if _, nested := v[i].(map[string]any); nested {
				raw, err := json.Marshal(v)
				return string(raw), err
			}
			parts[i] = fmt.Sprint(v[i])
		}
		return strings.Join(parts, ","), nil
	}
	return fmt.Sprint(value), nil
}

// origin is the scheme and host a request came to.
func origin(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
