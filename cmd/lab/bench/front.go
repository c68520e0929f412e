package bench

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// front stands before a server that speaks the two publishing calls and nothing else. It hands those on, remembers what
// they made, and answers the reads that the publisher makes between and after them.
type front struct {
	to     *url.URL
	proxy  *httputil.ReverseProxy
	routes *http.ServeMux

	mu         sync.Mutex
	containers map[string]*fronted
	media      map[string]bool
}

// fronted is a container that was made, and how far it has come.
type fronted struct {
	calls int // publish calls that were handed on
	live  bool
}

func newFront(address string) (*front, error) {
	to, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	f := &front{to: to, routes: http.NewServeMux(), containers: map[string]*fronted{}, media: map[string]bool{}}
	f.proxy = &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: 50 * time.Second},
	}
	f.routes.HandleFunc("POST /{user}/threads", f.create)
	f.routes.HandleFunc("POST /{user}/threads_publish", f.publish)
	f.routes.HandleFunc("GET /{id}", f.read)
	return f, nil
}

// ServeHTTP answers with or without the version segment, and hands the path on as it came.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	plain := *r
	plain.URL = &url.URL{Path: strings.TrimPrefix(r.URL.Path, version(r.URL.Path)), RawQuery: r.URL.RawQuery}
	plain.Header = r.Header.Clone()
	plain.Header.Set(pathHeader, r.URL.Path)
	f.routes.ServeHTTP(w, &plain)
}

// pathHeader carries the path as it came through the routes.
const pathHeader = "X-Bench-Path"

// Arrivals are none: the front does not know when the server behind it had a request whole.
func (*front) Arrivals() []Arrival { return nil }

// pass hands a call on and returns the id in its answer.
func (f *front) pass(w http.ResponseWriter, r *http.Request, body []byte) (id string) {
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.URL.Path = r.Header.Get(pathHeader)
	r.Header.Del(pathHeader)
	seen := &witness{ResponseWriter: w}
	f.proxy.ServeHTTP(seen, r)
	var made struct {
		ID json.RawMessage `json:"id"`
	}
	if seen.status != http.StatusOK || json.Unmarshal(seen.body.Bytes(), &made) != nil {
		return ""
	}
	return strings.Trim(string(made.ID), `"`)
}

func (f *front) create(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		refuse(w, http.StatusBadRequest, 100, 0, err.Error())
		return
	}
	if id := f.pass(w, r, body); id != "" {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.containers[id] = &fronted{}
	}
}

func (f *front) publish(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		refuse(w, http.StatusBadRequest, 100, 0, err.Error())
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	params, err := parameters(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, 100, 0, err.Error())
		return
	}
	f.mu.Lock()
	k := f.containers[params.Get("creation_id")]
	if k != nil {
		k.calls++
	}
	f.mu.Unlock()
	id := f.pass(w, r, body)
	if id == "" {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.media[id] = true
	if k != nil {
		k.live = true
	}
}

// read answers from memory. What became of a container after a publish call without a clear yes nobody here knows, and
// to guess FINISHED would invite a second call: so it says that it does not know.
func (f *front) read(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	f.mu.Lock()
	k, post := f.containers[id], f.media[id]
	status := "FINISHED"
	unknown := false
	if k != nil {
		unknown = k.calls > 0 && !k.live
		if k.live {
			status = "PUBLISHED"
		}
	}
	f.mu.Unlock()
	switch {
	case post:
		link := f.to.JoinPath("post", id).String()
		answer(w, http.StatusOK, map[string]string{"id": id, "media_type": "TEXT_POST", "permalink": link})
	case unknown:
		refuse(w, http.StatusInternalServerError, 2, 0, "The outcome of a publish call for container "+id+" is not known")
	case k != nil:
		answer(w, http.StatusOK, map[string]string{"id": id, "status": status})
	default:
		refuse(w, http.StatusBadRequest, 100, 33, "No object with the id "+strconv.Quote(id))
	}
}

// witness keeps a copy of an answer.
type witness struct {
	http.ResponseWriter

	status int
	body   bytes.Buffer
}

func (w *witness) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *witness) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if w.body.Len() < maxBody {
		w.body.Write(p)
	}
	return w.ResponseWriter.Write(p)
}
