package issuer

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// WriteKeys leaves the public key in a file, for a gateway that reads it there: what is served over http on another machine is
// not to be trusted. It is written under another name first, since a gateway may read it at any moment.
func (i *Issuer) WriteKeys(path string) error {
	key, err := i.public()
	if err != nil {
		return err
	}
	text, err := json.Marshal(keySet(key))
	if err != nil {
		return fmt.Errorf("write the issuer's keys: %w", err)
	}
	fresh, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write the issuer's keys: %w", err)
	}
	defer func() { _ = os.Remove(fresh.Name()) }() // gone already when all went well
	_, err = fresh.Write(append(text, '\n'))
	if err := errors.Join(err, fresh.Chmod(0o644), fresh.Close()); err != nil {
		return fmt.Errorf("write the issuer's keys: %w", err)
	}
	if err := os.Rename(fresh.Name(), path); err != nil {
		return fmt.Errorf("write the issuer's keys: %w", err)
	}
	return nil
}

// keySet is a JWKS, as RFC 7517 writes it.
func keySet(key jwk) map[string]any { return map[string]any{"keys": []jwk{key}} }
