package threads_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/omni-write/threads/internal/threads"
)

func TestTokenIsNeverPrinted(t *testing.T) {
	t.Parallel()
	const secret = "THQVJsecret"
	token := threads.Token(secret)
	holder := struct {
		Token threads.Token
		Named map[string]threads.Token
	}{token, map[string]threads.Token{"it": token}}

	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10s"} {
		fmt.Fprintf(&out, verb+"\n", token)
		fmt.Fprintf(&out, verb+"\n", holder)
		fmt.Fprintf(&out, verb+"\n", []threads.Token{token})
	}
	fmt.Fprintln(&out, token, &token)
	if err := json.NewEncoder(&out).Encode(holder); err != nil {
		t.Fatal(err)
	}
	for _, encoder := range []zapcore.Encoder{
		zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()),
		zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig()),
	} {
		log := zap.New(zapcore.NewCore(encoder, zapcore.AddSync(&out), zap.DebugLevel))
		log.Info("x", zap.Any("a", token), zap.Stringer("b", token), zap.Reflect("c", holder), zap.Any("d", []threads.Token{token}))
		log.Sugar().Infow("x", "token", token, "holder", holder)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "token", token, "holder", holder)
	fmt.Fprintf(&out, "%v %+v %#v", threads.Config{AppSecret: secret}, threads.Config{AppSecret: secret}, threads.Config{AppSecret: secret})

	text := out.String()
	if strings.Contains(text, secret) || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", secret)) {
		t.Errorf("the secret was printed:\n%s", text)
	}
	if !strings.Contains(text, "[redacted]") {
		t.Errorf("nothing was redacted:\n%s", text)
	}
	if _, err := token.Value(); err == nil {
		t.Error("a clear token was let into SQL")
	}
	if token.Reveal() != secret {
		t.Error("Reveal does not reveal")
	}
}
