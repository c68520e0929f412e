package threadssim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
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
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		params.Set("access_token", bearer)
	}
	return params, nil
}

func merge(into, from url.Values) {
	for name, values := range from {
		if len(values) > 0 {
			into.Set(name, values[0])
		}
	}
}

// readJSON takes a flat object; lists become comma-separated, numbers keep their digits.
func readJSON(body io.Reader, into url.Values) error {
	decoder := json.NewDecoder(body)
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for name, value := range object {
		switch v := value.(type) {
		case nil:
		case []any:
			parts := make([]string, len(v))
			for i := range v {
				parts[i] = fmt.Sprint(v[i])
			}
			into.Set(name, strings.Join(parts, ","))
		default:
			into.Set(name, fmt.Sprint(v))
		}
	}
	_, err := io.Copy(io.Discard, body)
	return err
}

// origin is the scheme and host a request came to.
func origin(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
