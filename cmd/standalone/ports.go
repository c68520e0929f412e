package standalone

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"go.uber.org/zap"
)

// port is where a part listens.
type port struct {
	setting string // that asks for one
	usual   int    // used when it is free and no other is asked for; otherwise any free one is
}

// The ports of the parts.
var (
	gatewayPort   = port{"PORT", 3000}
	natsPort      = port{"NATS_PORT", 4222}
	simulatorPort = port{"SIMULATOR_PORT", 9099}
	issuerPort    = port{"ISSUER_PORT", 9098}
	adminPort     = port{"ADMIN_PORT", 9090}
)

// usually is the address of what listens at the usual port.
func (p port) usually() string { return "http://" + net.JoinHostPort(loopback, strconv.Itoa(p.usual)) }

// checkPorts says which settings of ports are none, and which of the ports that are asked for cannot be had.
func checkPorts(ctx context.Context, getenv func(string) string) (wrong []error) {
	by := map[int]string{}
	for _, p := range []port{gatewayPort, natsPort, simulatorPort, issuerPort, adminPort} {
		asked := getenv(p.setting)
		if asked == "" && (p != gatewayPort || getenv("HOST") == "") {
			continue
		}
		asked = cmp.Or(asked, "0") // any, at the HOST that is asked for
		n, err := strconv.ParseUint(asked, 10, 16)
		switch other := by[int(n)]; {
		case err != nil:
			wrong = append(wrong, fmt.Errorf("%s is not a port: a number from 1 to 65535, or left out for the usual one, %d", p.setting, p.usual))
		case n > 0 && other != "":
			wrong = append(wrong, fmt.Errorf("%s and %s are both %d; each needs a port of its own", other, p.setting, n))
		default:
			host := loopback
			if p == gatewayPort {
				host = cmp.Or(getenv("HOST"), loopback)
			}
			l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, asked))
			if err != nil {
				wrong = append(wrong, p.explain(host, asked, err))
				break
			}
			_ = l.Close() // until its turn comes
		}
		by[int(n)] = p.setting
	}
	return wrong
}

// listen opens a port. One that was asked for must be free; the usual one may be taken by somebody else, and then any will do.
func (p port) listen(ctx context.Context, log *zap.Logger, host string, getenv func(string) string) (net.Listener, error) {
	var config net.ListenConfig
	asked := getenv(p.setting)
	if asked != "" {
		l, err := config.Listen(ctx, "tcp", net.JoinHostPort(host, asked))
		if err != nil {
			return nil, p.explain(host, asked, err)
		}
		return l, nil
	}
	if l, err := config.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(p.usual))); err == nil {
		return l, nil
	}
	l, err := config.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, p.explain(host, "0", err)
	}
	log.Warn("the usual port is taken; another is used", zap.String("setting", p.setting), zap.Int("usual", p.usual), zap.Int("port", portOf(l)))
	return l, nil
}

// explain says which setting is behind a port that cannot be had.
func (p port) explain(host, asked string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s=%s: another program has this port; stop it, choose another port, or leave %[1]s out", p.setting, asked)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s=%s: only root may listen at this port; choose one from 1024 on", p.setting, asked)
	case host != loopback:
		return fmt.Errorf("HOST=%s: nothing can listen there: %w", host, err)
	}
	return fmt.Errorf("%s=%s: nothing can listen there: %w", p.setting, asked, err)
}

// portOf is the port of a listener for TCP.
func portOf(l net.Listener) int {
	addr, _ := l.Addr().(*net.TCPAddr)
	return addr.Port
}
