// Omni Write · Threads puts people's posts on Meta Threads at the second they asked for, exactly once, and tells everyone
// what happened. One program; the first word says what runs.
package main

import (
	"os"

	"github.com/omni-write/threads/cmd"
)

func main() { os.Exit(cmd.Main()) }
