// Package weburl judges web addresses and names their origins.
package weburl

import (
	"net"
	"net/url"
	"strings"
)

// IsWeb says whether this is an http(s) address.
func IsWeb(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// IsFile says whether an address is that of a file of this machine, by its whole path.
func IsFile(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "file" && u.Host == "" && len(u.Path) > 1
}

// PrivateToRead says whether nobody on the way can change what is read from an address.
func PrivateToRead(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "https" || Loopback(u))
}

// Loopback says whether an address is on this machine.
func Loopback(u *url.URL) bool {
	host := u.Hostname()
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// Trimmed is a list without the spaces that people write after commas, and without what is empty.
func Trimmed(list []string) []string {
	var out []string
	for _, item := range list {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

// Origin is the origin of an address as browsers name it, whoever wrote the address.
func Origin(u *url.URL) string {
	usual := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
	return u.Scheme + "://" + strings.TrimSuffix(strings.ToLower(u.Host), usual)
}
