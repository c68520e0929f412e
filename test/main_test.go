// Package test has the tests of the whole program, a file for each law or promise that they guard. They run it as child
// processes, which are this test's own binary: what runs has the race detector, too, where the tests have it.
package test

import (
	"os"
	"testing"

	"github.com/omni-write/threads/cmd"
	"github.com/omni-write/threads/cmd/lab/rig"
	"github.com/omni-write/threads/internal/pg/pgtest"
	"github.com/omni-write/threads/internal/subprocess"
)

func TestMain(m *testing.M) {
	if subprocess.Is() {
		if len(os.Args) < 2 || os.Args[1] != rig.Word {
			subprocess.EndWithInput()
		}
		os.Exit(cmd.Main())
	}
	if err := os.Chdir(".."); err != nil { // paths in these tests are those of the repository
		panic(err)
	}
	pgtest.Main(m)
}
