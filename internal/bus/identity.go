package bus

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/nats-io/nats.go"
)

// Identity is who we are to NATS, and by what we know it. All of it is optional.
type Identity struct {
	User, Password string // no user: the service's name
	// Credentials is a .creds file, NKey the file of an nkey's seed.
	Credentials, NKey string
	// CA is a file of the server's certificate authority, Cert and Key the files of the client's own pair.
	CA, Cert, Key string
}

// options makes the connection's options. Every file is read here once: the library would only say, after a while of
// trying, that no server answers.
func (i Identity) options(name string) ([]nats.Option, error) {
	var opts []nats.Option
	ways := 0
	for _, set := range []bool{i.Password != "" || i.User != "", i.Credentials != "", i.NKey != ""} {
		if set {
			ways++
		}
	}
	if ways > 1 {
		return nil, errors.New("NATS_PASSWORD, NATS_CREDS_FILE and NATS_NKEY_FILE say the same in different ways; set one")
	}
	for setting, file := range map[string]string{
		"NATS_CREDS_FILE": i.Credentials, "NATS_NKEY_FILE": i.NKey,
		"NATS_CA_FILE": i.CA, "NATS_CERT_FILE": i.Cert, "NATS_KEY_FILE": i.Key,
	} {
		if file == "" {
			continue
		}
		if _, err := os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("%s: %w", setting, err)
		}
	}
	switch {
	case i.User != "" && i.Password == "":
		return nil, errors.New("NATS_USER is set without NATS_PASSWORD or NATS_PASSWORD_FILE")
	case i.Password != "":
		user := i.User
		if user == "" {
			user = name
		}
		opts = append(opts, nats.UserInfo(user, i.Password))
	case i.Credentials != "":
		opts = append(opts, nats.UserCredentials(i.Credentials))
	case i.NKey != "":
		sign, err := nats.NkeyOptionFromSeed(i.NKey)
		if err != nil {
			return nil, fmt.Errorf("NATS_NKEY_FILE is not the file of an nkey's seed: %w", err)
		}
		opts = append(opts, sign)
	}
	if i.CA != "" {
		opts = append(opts, nats.RootCAs(i.CA))
	}
	if (i.Cert == "") != (i.Key == "") {
		return nil, errors.New("NATS_CERT_FILE and NATS_KEY_FILE belong together; set both or none")
	}
	if i.Cert != "" {
		if _, err := tls.LoadX509KeyPair(i.Cert, i.Key); err != nil {
			return nil, fmt.Errorf("NATS_CERT_FILE and NATS_KEY_FILE are no pair: %w", err)
		}
		opts = append(opts, nats.ClientCert(i.Cert, i.Key))
	}
	return opts, nil
}

// hopeless says why connecting will not come right by waiting, if that is known.
func hopeless(err error) string {
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &untrusted):
		return "shows a certificate that we do not trust; NATS_CA_FILE names the authority to trust, " +
			"and NATS_URL must use a name in the certificate"
	case errors.Is(err, nats.ErrSecureConnWanted):
		return "does not speak TLS, which NATS_URL asks for"
	case strings.Contains(err.Error(), "certificate required"): // the server's alert; the type is not exported
		return "wants a certificate of ours; set NATS_CERT_FILE and NATS_KEY_FILE"
	case strings.Contains(err.Error(), "remote error: tls: "):
		return "does not trust our certificate, NATS_CERT_FILE"
	}
	return ""
}
