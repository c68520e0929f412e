package events

import "slices"

// Subjects that cover others: permissions are written with them. A noun may be * for any.

// Alarms covers the alarms of a noun and their going off: threads.alarm.post.* and threads.due.post.*
func Alarms(noun string) []string {
	return []string{prefix + ".alarm." + noun + ".*", prefix + ".due." + noun + ".*"}
}

// AlarmStream is the stream of a noun's alarms; empty where it has none.
func AlarmStream(noun string) string {
	for _, s := range Streams(1, 0) {
		if slices.Contains(s.Subjects, Alarms(noun)[0]) {
			return s.Name
		}
	}
	return ""
}

// EveryReplay covers events that are republished for those who asked for it.
const EveryReplay = prefix + ".replay.>"

// GuestAPI is where those who are not of this system find JetStream, instead of $JS.API: jetstream.NewWithAPIPrefix. The
// user "subscriber" of our servers is one.
const GuestAPI = prefix + ".js"
