package bench

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/omni-write/threads/internal/threads/threadssim"
)

// target is a server that takes posts and can tell when each one came.
type target interface {
	http.Handler
	Arrivals() []Arrival
}

// simulated is the simulator at zero latency: it checks everything that Threads checks.
type simulated struct{ *threadssim.Sim }

func newSimulated() (simulated, error) {
	at := time.Duration(-1) // at once
	sim, err := threadssim.New(threadssim.Options{Processing: threadssim.Processing{Text: at, Image: at, Video: at}})
	return simulated{sim}, err
}

// Arrivals are all publishes that took effect.
func (s simulated) Arrivals() []Arrival {
	posts := s.Posts()
	list := make([]Arrival, len(posts))
	for i, p := range posts {
		list[i] = Arrival{ID: p.ID, ContainerID: p.ContainerID, Text: p.Text, ArrivedNS: p.ArrivedNS}
	}
	return list
}

// counter is a target with as little to it as possible: the two publishing calls, the reads that a careful client makes
// between and after them, and a list of what arrived. It takes any token, checks no rule of Threads, and publishes a
// container once.
type counter struct {
	routes *http.ServeMux

	mu         sync.Mutex
	lastID     int64
	containers map[string]*counted
	media      map[string]*counted
	arrivals   []Arrival
}

// counted is a container and what became of it.
type counted struct {
	id, text, media string
}

func newCounter() *counter {
	c := &counter{
		routes: http.NewServeMux(), lastID: 17_000_000_000_000_000,
		containers: map[string]*counted{}, media: map[string]*counted{},
	}
	c.routes.HandleFunc("POST /{user}/threads", c.create)
	c.routes.HandleFunc("POST /{user}/threads_publish", c.publish)
	c.routes.HandleFunc("GET /{id}", c.read)
	c.routes.HandleFunc("GET /_sim/posts", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"data": c.Arrivals()})
	})
	return c
}

// ServeHTTP answers with or without the version segment.
func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	http.StripPrefix(version(r.URL.Path), c.routes).ServeHTTP(w, r)
}

// version is the segment /v1.0, if the path begins with it.
func version(path string) string {
	if strings.HasPrefix(path, "/v1.0/") {
		return "/v1.0"
	}
	return ""
}

// Arrivals are all publishes that took effect.
func (c *counter) Arrivals() []Arrival {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.arrivals)
}

func (c *counter) create(w http.ResponseWriter, r *http.Request) {
	params, err := parameters(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, 100, 0, err.Error())
		return
	}
	c.mu.Lock()
	k := &counted{id: c.nextID(), text: params.Get("text")}
	c.containers[k.id] = k
	c.mu.Unlock()
	answer(w, http.StatusOK, map[string]string{"id": k.id})
}

func (c *counter) publish(w http.ResponseWriter, r *http.Request) {
	params, err := parameters(r)
	arrived := time.Now() // the whole request is here
	if err != nil {
		refuse(w, http.StatusBadRequest, 100, 0, err.Error())
		return
	}
	c.mu.Lock()
	k := c.containers[params.Get("creation_id")]
	fresh := k != nil && k.media == ""
	if fresh {
		k.media = c.nextID()
		c.media[k.media] = k
		c.arrivals = append(c.arrivals, Arrival{ID: k.media, ContainerID: k.id, Text: k.text, ArrivedNS: arrived.UnixNano()})
	}
	c.mu.Unlock()
	if !fresh { // as Threads answers, for a container that is not there and for one that is published
		refuse(w, http.StatusBadRequest, 24, 4279009, "The requested resource does not exist")
		return
	}
	answer(w, http.StatusOK, map[string]string{"id": k.media})
}

// read answers for a container with its status, for a post with its permalink.
func (c *counter) read(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	c.mu.Lock()
	k, post := c.containers[id], c.media[id]
	status := "FINISHED"
	if k != nil && k.media != "" {
		status = "PUBLISHED"
	}
	c.mu.Unlock()
	switch {
	case k != nil:
		answer(w, http.StatusOK, map[string]string{"id": id, "status": status})
	case post != nil:
		answer(w, http.StatusOK, map[string]string{
			"id": id, "text": post.text, "media_type": "TEXT_POST", "permalink": permalink(r, id),
		})
	default:
		refuse(w, http.StatusBadRequest, 100, 33, "Unsupported get request. Object with ID '"+id+"' does not exist")
	}
}

func (c *counter) nextID() string {
	c.lastID++
	return strconv.FormatInt(c.lastID, 10)
}

func permalink(r *http.Request, id string) string { return "http://" + r.Host + "/post/" + id }

const maxBody = 1 << 20

// parameters are those of the query, a form or a JSON object.
func parameters(r *http.Request) (url.Values, error) {
	params := r.URL.Query()
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return nil, err
	}
	switch kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); kind {
	case "application/json":
		var object map[string]any
		if err := json.Unmarshal(body, &object); err != nil {
			return nil, err
		}
		for name, v := range object {
			if s, ok := v.(string); ok {
				params.Set(name, s)
			}
		}
	case "multipart/form-data":
		r.Body = io.NopCloser(bytes.NewReader(body))
		if err := r.ParseMultipartForm(maxBody); err != nil { //nolint:gosec // G120: the body is bounded above
			return nil, err
		}
		for name, v := range r.MultipartForm.Value {
			params[name] = v
		}
	default:
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, err
		}
		for name, v := range form {
			params[name] = v
		}
	}
	return params, nil
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone: nobody to tell
}

// refuse answers in the shape of Threads' errors.
func refuse(w http.ResponseWriter, status, code, subcode int, message string) {
	answer(w, status, map[string]any{"error": map[string]any{
		"message": message, "type": "OAuthException", "code": code, "error_subcode": subcode, "fbtrace_id": "bench",
	}})
}
