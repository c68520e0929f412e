package cmd

import (
	"fmt"
	"runtime/debug"
)

// commit and date are set by builds that have no history of the repository at hand, as the Dockerfile's.
var commit, date string

// version says which build this is: the module's version, and the commit with its date where the build knows it. `go build`
// does, `go run` does not.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "threads, of an unknown build"
	}
	return versionOf(info, commit, date)
}

func versionOf(info *debug.BuildInfo, commit, date string) string {
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if revision := settings["vcs.revision"]; revision != "" {
		commit, date = revision, settings["vcs.time"]
		if settings["vcs.modified"] == "true" {
			commit += ", with changes"
		}
	}
	if commit == "" {
		commit = "unknown (`go build` writes it down, `go run` does not)"
	}
	text := fmt.Sprintf("threads %s\ncommit  %s\n", info.Main.Version, commit)
	if date != "" {
		text += fmt.Sprintf("date    %s\n", date)
	}
	return text + "go      " + info.GoVersion
}
