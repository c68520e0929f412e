package secretcheck

import (
	"fmt"

	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// Logs is every line that was logged, as a JSON encoder would write it.
func Logs(lines []observer.LoggedEntry) (Places, error) {
	all := Places{}
	enc := zapcore.NewJSONEncoder(zapcore.EncoderConfig{MessageKey: "msg", NameKey: "logger", EncodeTime: zapcore.RFC3339TimeEncoder,
		EncodeDuration: zapcore.StringDurationEncoder})
	for i, line := range lines {
		text, err := enc.EncodeEntry(line.Entry, line.Context)
		if err != nil {
			return nil, fmt.Errorf("encode log line %d: %w", i, err)
		}
		all[fmt.Sprintf("log line %d (%s)", i, line.Level)] = text.String()
		text.Free()
	}
	return all, nil
}
