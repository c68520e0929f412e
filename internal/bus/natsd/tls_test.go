package natsd_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/internal/bus/bustest"
)

// authority is a certificate authority that somebody made for themselves.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.make("an authority of our own", nil)
	a.file = a.write("ca.pem", "CERTIFICATE", a.cert.Raw)
	return a
}

func (a *authority) make(name string, by *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	wish := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: by == nil, BasicConstraintsValid: true,
	}
	parent, signer := wish, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, wish, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// pair makes a certificate and its key, as files.
func (a *authority) pair(name string) (cert, key string) {
	a.t.Helper()
	made, secret := a.make(name, a)
	der, err := x509.MarshalECPrivateKey(secret)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write(name+".pem", "CERTIFICATE", made.Raw), a.write(name+".key", "EC PRIVATE KEY", der)
}

func (a *authority) write(name, kind string, der []byte) string {
	a.t.Helper()
	file := filepath.Join(a.dir, name)
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return file
}

// A deployment that wants TLS has a file of its own, which includes ours.
func (a *authority) conf(verify string) string {
	a.t.Helper()
	ours, err := os.ReadFile("nats.conf")
	if err == nil {
		err = os.WriteFile(filepath.Join(a.dir, "nats.conf"), ours, 0o600)
	}
	cert, key := a.pair("server")
	file := filepath.Join(a.dir, "tls.conf")
	if err == nil {
		err = os.WriteFile(file, []byte("include nats.conf\ntls {\n  cert_file: \""+cert+"\"\n  key_file: \""+key+"\"\n"+verify+"}\n"), 0o600)
	}
	if err != nil {
		a.t.Fatal(err)
	}
	return file
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ours, other := newAuthority(t), newAuthority(t)
	plain := bustest.ServeConf(t, "nats.conf", nil)
	secured := bustest.ServeConf(t, ours.conf(""), nil)
	mutual := bustest.ServeConf(t, ours.conf("  ca_file: \""+ours.file+"\"\n  verify: true\n"), nil)
	cert, key := ours.pair("gateway")
	foreignCert, foreignKey := other.pair("stranger")
	_, anotherKey := ours.pair("another")
	for _, try := range []struct {
		name     string
		url      string
		identity bus.Identity
		says     string // "" when we get in
	}{
		{"the authority is known", secured.URL, bus.Identity{CA: ours.file}, ""},
		{"the authority is not known", secured.URL, bus.Identity{}, "a certificate that we do not trust; NATS_CA_FILE"},
		{"another authority is known", secured.URL, bus.Identity{CA: other.file}, "a certificate that we do not trust; NATS_CA_FILE"},
		{"TLS is asked of a server without", strings.Replace(plain.URL, "nats://", "tls://", 1), bus.Identity{CA: ours.file}, "does not speak TLS"},
		{"both show a certificate", mutual.URL, bus.Identity{CA: ours.file, Cert: cert, Key: key}, ""},
		{"the client shows none", mutual.URL, bus.Identity{CA: ours.file}, "wants a certificate of ours; set NATS_CERT_FILE and NATS_KEY_FILE"},
		{"the client shows a stranger's", mutual.URL, bus.Identity{CA: ours.file, Cert: foreignCert, Key: foreignKey}, "does not trust our certificate"},
		{"there is no such file", secured.URL, bus.Identity{CA: "/nowhere/ca.pem"}, "NATS_CA_FILE: open /nowhere/ca.pem"},
		{"a certificate without its key", mutual.URL, bus.Identity{CA: ours.file, Cert: cert}, "belong together"},
		{"a certificate with another's key", mutual.URL, bus.Identity{CA: ours.file, Cert: cert, Key: anotherKey}, "are no pair"},
		{"two ways to say who", plain.URL, bus.Identity{Credentials: cert}, "set one"},
		{"a user without a password", plain.URL, bus.Identity{User: "gateway"}, "NATS_USER is set without NATS_PASSWORD"},
	} {
		t.Run(try.name, func(t *testing.T) {
			t.Parallel()
			if try.identity.User == "" {
				try.identity.Password = bustest.PasswordFor("gateway")
			}
			b, err := bus.Connect(t.Context(), bus.Config{URL: try.url, Name: "gateway", Identity: try.identity})
			if err == nil {
				defer b.JetStream().Conn().Close()
			}
			if try.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				if _, err := b.JetStream().Conn().TLSConnectionState(); err != nil {
					t.Errorf("it is not TLS: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), try.says) || strings.Contains(err.Error(), try.identity.Password) && try.identity.Password != "" {
				t.Errorf("says %v", err)
			}
		})
	}
}

func TestNKey(t *testing.T) {
	t.Parallel()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "gateway.nk")
	if err := os.WriteFile(file, seed, 0o600); err != nil {
		t.Fatal(err)
	}
	s := bustest.ServeConf(t, "nats.conf", func(o *server.Options) { o.Nkeys = []*server.NkeyUser{{Nkey: public, Account: o.Accounts[0]}} })
	b, err := bus.Connect(t.Context(), bus.Config{URL: s.URL, Name: "gateway", Identity: bus.Identity{NKey: file}})
	if err != nil {
		t.Fatal(err)
	}
	b.JetStream().Conn().Close()
	if err := os.WriteFile(file, []byte("no seed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := bus.Connect(t.Context(), bus.Config{URL: s.URL, Name: "gateway", Identity: bus.Identity{NKey: file}}); err == nil || !strings.Contains(err.Error(), "NATS_NKEY_FILE") {
		t.Errorf("says %v", err)
	}
}
