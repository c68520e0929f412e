//go:build ignore

// Reads compose.yaml with the very library that docker compose reads it with, all profiles, and .env.example filled in. It stands
// for `docker compose config` where there is no docker.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	options, err := cli.NewProjectOptions([]string{"compose.yaml"},
		cli.WithEnv([]string{"THREADS_APP_ID=1", "AUTH_ISSUER=https://issuer.example.com"}),
		cli.WithEnvFiles(".env.example"), cli.WithDotEnv, cli.WithProfiles([]string{"*"}))
	if err == nil {
		project, loadErr := options.LoadProject(context.Background())
		if err = loadErr; err == nil {
			fmt.Println(strings.Join(project.ServiceNames(), ", "))
			return
		}
	}
	fmt.Fprintln(os.Stderr, "compose.yaml:", err)
	os.Exit(1)
}
