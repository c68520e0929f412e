package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// HealthCheck asks the process that serves Admin on addr whether it is ready; nil means yes. It is the health check of
// images that have no shell: the program calls itself.
func HealthCheck(ctx context.Context, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("read the admin address: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // it listens everywhere, so also here
	}
	ctx, cancel := context.WithTimeout(ctx, checkWithin+time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("ask for readiness: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask for readiness: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	var said readiness
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&said); err != nil || len(said.Failing) == 0 {
		return fmt.Errorf("not ready: %s", resp.Status)
	}
	var sentences []string
	for _, name := range slices.Sorted(maps.Keys(said.Failing)) {
		sentences = append(sentences, name+": "+said.Failing[name])
	}
	return errors.New("not ready: " + strings.Join(sentences, "; "))
}
