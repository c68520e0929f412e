//go:build unix

package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

const supported = true

// account is whom Postgres runs as when we are root, which it refuses to be. A nil account is ourselves.
type account struct {
	name     string
	uid, gid uint32
}

// dropTo returns the account for Postgres, nil when we are not root. It must be in the passwd database: initdb looks
// itself up there.
func dropTo() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "_postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if uidErr == nil && gidErr == nil {
			return &account{name: name, uid: uint32(uid), gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("it refuses to run as root, and there is no user postgres or nobody to run it as; run this as an ordinary user")
}

// own gives path to the account.
func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Chown(path, int(a.uid), int(a.gid))
}

// prepareDir makes dir, and as root lets the account pass through it.
func prepareDir(dir string, who *account) error {
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return err
	}
	if who == nil {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !who.mayEnter(info) { // dir is ours to open, what lies above is not
		if err := os.Chmod(dir, info.Mode().Perm()|0o011); err != nil {
			return err
		}
	}
	return enterable(dir, who)
}

// enterable finds out what would otherwise be a bare "permission denied" of the child: whether the account may pass
// through every directory down to dir.
func enterable(dir string, who *account) error {
	if who == nil {
		return nil
	}
	for d := dir; ; d = filepath.Dir(d) {
		info, err := os.Stat(d)
		if err != nil {
			return err
		}
		if !who.mayEnter(info) {
			return fmt.Errorf("as root we run it as the user %s, who may not enter %s: use a place outside of it (such as /var/lib/threads), "+
				"allow it (chmod o+x %s), or run this as an ordinary user", who.name, d, d)
		}
		if d == filepath.Dir(d) {
			return nil
		}
	}
}

func (a *account) mayEnter(info fs.FileInfo) bool {
	mode, st := info.Mode().Perm(), info.Sys().(*syscall.Stat_t)
	switch {
	case st.Uid == a.uid:
		return mode&0o100 != 0
	case st.Gid == a.gid:
		return mode&0o010 != 0
	}
	return mode&0o001 != 0
}

// sysProcAttr puts the child in a process group of its own, so that Ctrl-C in a terminal reaches us first and Postgres
// is stopped last.
func (a *account) sysProcAttr() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if a != nil {
		attr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	return attr
}
