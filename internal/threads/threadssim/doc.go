// Package threadssim plays Threads: the authorization window, tokens, containers, posts, limits and refusals, with the
// checks in Threads' order and the answers in Threads' shapes, oddities included. It is an http.Handler; tests mount
// it, and the simulator command and standalone serve it.
//
// It is strict, it is angry on request, and it can be asked. Strict: what Threads refuses, it refuses. Angry: Knobs are
// its behaviour, for all, for one account or for one request, and whatever they leave to chance is seeded; a Fault is one
// misbehaviour of one exact call ("the third publish, after its commit"). Both become a hit, which the call suffers
// where Threads' order of checks has it: after the commit, if the client shall not know what happened. Asked: GET
// /_sim/posts tells every publish that took effect and when its request was complete, which is how a test proves that
// nothing went out twice or too early; GET /_sim/invariants tells which rules the client broke.
//
// docs/simulator.md lists it all.
//
// Each part has a type: the store is what Threads knows, the api the order of checks that a call goes through, and a call
// one request on that way. Windows and pages for people, webhooks, callbacks and the simulator's own side (control) stand
// beside them; Sim puts them together and is what tests call. The store has one lock; the armed faults, the log of calls,
// the broken rules and what is on its way to the app have their own.
//
// With a journal it remembers across a kill -9, as the real Threads would remember while our processes die.
//
// Where Meta documents nothing, the choice made here says so in a comment; the client must not rely on it.
package threadssim
