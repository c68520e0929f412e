// Package test has the tests of the whole program, a file for each law or promise that they guard. They run it as child
// processes, which are this test's own binary: what runs has the race detector, too, where the tests have it.
package test

import (
	"fmt"
	"os"
	"testing"

	"github.com/omni-write/threads/cmd"
	"github.com/omni-write/threads/internal/pg/pgtest"
)

// asChild in the environment makes this binary the program.
const asChild = "THREADS_TEST_AS_PROGRAM"

var program = func() string {
	file, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return file
}()

func TestMain(m *testing.M) {
	if os.Getenv(asChild) != "" {
		os.Exit(cmd.Main())
	}
	if dir := os.Getenv(asNATS); dir != "" {
		if err := serveNATS(dir, os.Getenv("PORT")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if err := os.Chdir(".."); err != nil { // paths in these tests are those of the repository
		panic(err)
	}
	pgtest.Main(m)
}
