// Package asks has the questions between the services of this system, and their answers: the gateway asks, auth and publisher
// answer. Nobody else is promised any of it; what others may build on is in package events.
//
// Services of two releases run side by side, so a field is added, never changed, and a subject keeps its name.
package asks

// Question is asked over core request-reply, and each names its answer. No stream captures questions, so what must never be
// stored (an OAuth code) goes this way. Where a question has an AccountID, it may be empty if the user has only one account.
type Question interface {
	Subject() string
}

// HeaderWait says how many milliseconds a question's answer is waited for.
const HeaderWait = "omni-wait"

// Every subject of a question begins with this.
const prefix = "threads.ask."

// Questions covers every question about a noun, which may be * for any: threads.ask.post.*
func Questions(noun string) string { return ask(noun, "*") }

// threads.ask.post.get
func ask(noun, verb string) string { return prefix + noun + "." + verb }
