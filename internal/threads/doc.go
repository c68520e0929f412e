// Package threads is the client of the Threads API, and the one place that knows its oddities.
//
// The rest of the system sees posts, tokens and one kind of error, *Error, whose Class says what to do next. It never
// sees JSON, HTTP statuses or Meta's wording: a missing permission that arrives as HTTP 500, an id that arrives as a
// number, a publish that "fails" although the post is live are all settled here.
//
// Two rules shape it. No call is ever repeated by this package: whoever holds the post's row decides about a second
// call. And no token, code or app secret ever reaches an error, a log line or a printed value (see Token).
//
// What Threads does when it is angry is played by the simulator in the folder threadssim.
package threads
