package zones

import (
	"archive/zip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Europe/Berlin", "America/Argentina/Buenos_Aires", "UTC", "Asia/Calcutta", "Etc/GMT+12"} {
		if _, err := Load(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{
		"", "Local", "localtime", "posixrules", "right/Europe/Berlin", "posix/Europe/Berlin", "europe/berlin", "Europe/Berlin ", "zone.tab", "tzdata.zi",
		"../etc/passwd", "Europe", "+02:00", "leapseconds", "Etc/localtime", "Factory",
	} {
		if _, err := Load(name); err == nil {
			t.Errorf("%q is a zone", name)
		}
	}
}

func TestNamesAreThoseOfTheDistribution(t *testing.T) {
	t.Parallel()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skip(err)
	}
	z, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Skip(err)
	}
	defer func() { _ = z.Close() }()
	var want []string
	for _, f := range z.File {
		if !strings.HasSuffix(f.Name, "/") && f.Name != "Factory" { // the zone of who has set none
			want = append(want, f.Name)
		}
	}
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Error("names.txt is not the list of zoneinfo.zip: unzip -Z1 $(go env GOROOT)/lib/time/zoneinfo.zip | grep -v -e '/$' -e Factory | LC_ALL=C sort")
	}
}
