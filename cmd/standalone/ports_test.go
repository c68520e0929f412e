package standalone

import (
	"net"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/zap"
)

func TestListen(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	n := taken.Addr().(*net.TCPAddr).Port
	asked := func(name string) string { return map[string]string{"NATS_PORT": strconv.Itoa(n)}[name] }
	if _, err := natsPort.listen(t.Context(), zap.NewNop(), loopback, asked); err == nil || !strings.Contains(err.Error(), "NATS_PORT="+strconv.Itoa(n)) {
		t.Errorf("a port that was asked for and is taken is replaced without a word, or the setting is not named: %v", err)
	}
	nobody := func(string) string { return "" }
	other, err := port{"NATS_PORT", n}.listen(t.Context(), zap.NewNop(), loopback, nobody)
	if err != nil {
		t.Fatalf("the usual port is taken, and no other was found: %v", err)
	}
	_ = other.Close()
	if _, err := gatewayPort.listen(t.Context(), zap.NewNop(), "192.0.2.1", nobody); err == nil || !strings.Contains(err.Error(), "HOST=192.0.2.1") {
		t.Errorf("an address that is not this machine's: %v", err)
	}
}
