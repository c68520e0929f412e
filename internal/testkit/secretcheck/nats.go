package secretcheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nats-io/nats.go/jetstream"
)

// NATS is every message of every stream, the streams behind the buckets among them: subject, headers and body.
func NATS(ctx context.Context, js jetstream.JetStream) (Places, error) {
	all := Places{}
	names := js.StreamNames(ctx)
	for name := range names.Name() {
		stream, err := js.Stream(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("open stream %s: %w", name, err)
		}
		state := stream.CachedInfo().State
		for seq := max(state.FirstSeq, 1); seq <= state.LastSeq; seq++ {
			m, err := stream.GetMsg(ctx, seq)
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("read message %d of %s: %w", seq, name, err)
			}
			all[fmt.Sprintf("message %d of %s", seq, name)] = fmt.Sprint(m.Subject, " ", m.Header, " ", string(m.Data))
		}
	}
	return all, names.Err()
}

// Files is every file below a directory, such as a server's own store, where messages lie on after they were deleted. Files
// that go while it looks are left out.
func Files(dir string) (Places, error) {
	all := Places{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path) //nolint:gosec // a test reads the directory it has made
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		name, _ := filepath.Rel(dir, path)
		all["file "+name] = string(bytes.TrimRight(content, "\x00"))
		return err
	})
	return all, err
}
