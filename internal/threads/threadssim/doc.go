// Package threadssim plays Threads: the authorization window, tokens, containers, posts, limits and refusals, with the
// checks in Threads' order and the answers in Threads' shapes, oddities included. It is an http.Handler; tests mount
// it, and the simulator command and standalone serve it.
//
// It is strict, it is angry on request, and it can be asked. Strict: what Threads refuses, it refuses. Angry: exact
// faults ("the third publish, after its commit") are set over POST /_sim/faults or Inject, nothing is random. Asked:
// GET /_sim/posts tells every publish that took effect and when its request was complete, which is how a test proves
// that nothing went out twice or too early.
//
// With a journal it remembers across a kill -9, as the real Threads would remember while our processes die.
//
// Where Meta documents nothing, the choice made here says so in a comment; the client must not rely on it.
package threadssim
