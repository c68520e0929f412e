package edge

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// TestObservePanics looks from inside: no route of ours panics on request.
func TestObservePanics(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.ErrorLevel)
	e := New(Options{Log: zap.New(core)})
	h := e.observe(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("the secret reason") }))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), `"code":"internal"`) || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if logs.FilterMessage("request failed").Len() != 1 {
		t.Errorf("%v", logs.All())
	}
}
