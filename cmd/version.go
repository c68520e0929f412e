package cmd

import (
	"fmt"
	"runtime/debug"
)

// version says which build this is: the module's version, and the commit with its date where the build knows it. `go build`
// does, `go run` does not.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "threads, of an unknown build"
	}
	return versionOf(info)
}

func versionOf(info *debug.BuildInfo) string {
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	commit := "unknown (`go build` writes it down, `go run` does not)"
	if revision := settings["vcs.revision"]; revision != "" {
		commit = revision
		if settings["vcs.modified"] == "true" {
			commit += ", with changes"
		}
	}
	text := fmt.Sprintf("threads %s\ncommit  %s\n", info.Main.Version, commit)
	if at := settings["vcs.time"]; at != "" {
		text += fmt.Sprintf("date    %s\n", at)
	}
	return text + "go      " + info.GoVersion
}
