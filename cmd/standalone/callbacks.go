package standalone

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// setCallbacks tells the simulator where the system hears that a person removed the app, or wants their data deleted: what
// the app's dashboard at Meta has as its uninstall and data-deletion addresses.
func (sys *System) setCallbacks(ctx context.Context) error {
	return sys.configureSimulator(ctx, "/_sim/callbacks", map[string]string{
		"uninstall_url":     sys.Endpoints.GatewayURL + "/api/threads/uninstall",
		"data_deletion_url": sys.Endpoints.GatewayURL + "/api/threads/data-deletion",
	})
}

// configureSimulator posts to the simulator what an app's dashboard would tell Meta.
func (sys *System) configureSimulator(ctx context.Context, path string, settings any) error {
	body, err := json.Marshal(settings)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, sys.Endpoints.SimulatorURL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New("the simulator answered " + resp.Status)
	}
	return nil
}
