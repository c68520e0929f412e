package process

import (
	"errors"
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Logger makes the logger of a process; it writes to standard error. level is debug, info, warn or error (empty: info).
// format is json or console; empty chooses console at a terminal and json everywhere else.
func Logger(level, format string) (*zap.Logger, error) {
	if level == "" {
		level = "info"
	}
	at, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, errors.New("LOG_LEVEL is not one of debug, info, warn and error")
	}
	cfg := zap.NewProductionEncoderConfig()
	cfg.TimeKey, cfg.MessageKey = "time", "message"
	cfg.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	cfg.EncodeDuration = zapcore.StringDurationEncoder

	var enc zapcore.Encoder
	switch {
	case format == "json", format == "" && !isTerminal(os.Stderr):
		enc = zapcore.NewJSONEncoder(cfg)
	case format == "console", format == "":
		cfg.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		cfg.EncodeLevel = zapcore.CapitalColorLevelEncoder
		enc = zapcore.NewConsoleEncoder(cfg)
	default:
		return nil, errors.New("LOG_FORMAT is neither json nor console")
	}
	core := zapcore.NewCore(enc, zapcore.Lock(os.Stderr), at)
	return zap.New(core, zap.AddStacktrace(zapcore.DPanicLevel)), nil
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
