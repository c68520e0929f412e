package threadssim

import (
	"fmt"
	"html"
	"net/http"
	"strings"
)

// picture draws a face for a name, or a still for the id of a video: a colour and a letter.
func (pages) picture(w http.ResponseWriter, r *http.Request) {
	of := r.PathValue("of")
	letter := "▶"
	if name := strings.TrimLeft(of, "._"); name != "" && strings.Trim(of, "0123456789") != "" {
		letter = strings.ToUpper(name[:1])
	}
	hue := share(of, "hue", 360)
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 96 96" width="96" height="96">`+
		`<rect width="96" height="96" fill="hsl(%d 45%% 42%%)"/>`+
		`<text x="48" y="62" font-family="system-ui,sans-serif" font-size="42" text-anchor="middle" fill="#fff">%s</text></svg>`,
		hue, html.EscapeString(letter))
}
