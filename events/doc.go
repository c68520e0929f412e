// Package events is the contract of the system: every command and every event, where they travel, and what their words mean.
// Other teams import it to subscribe. What the services only ask one another is in internal/asks, and promised to nobody.
//
// # Commands and events
//
// A command asks for something ("post.schedule.v1" on threads.cmd.post.schedule). It is kept on the stream COMMANDS
// until one service has done it. An event is something that has happened ("post.published.v1" on
// threads.evt.post.<account>.<post>.published); the last word, published, is its fact. It stays on the stream EVENTS, in order, and never changes.
//
// The body of a message is JSON. What it is, when and why is in its headers: CloudEvents 1.0 attributes as ce-*, the
// W3C traceparent, and which HTTP request (ce-correlationid) and which message (ce-causationid) led to it.
//
// # Reading EVENTS
//
// Take a durable pull consumer with explicit acks, ack after your work, and drop an event whose ce-id you have seen:
// the same event emitted twice has the same ce-id. Every event of a post carries the whole post as it is after the event,
// with the post's rev; apply it only when its rev is higher than what you have. Ignore fields that you do not know,
// and set aside types that you do not know: they are from a newer version.
//
// PostPublished is emitted at most once for a post. It says where the post is (post.permalink, post.postedTweetId), when
// it was due (post.scheduledAt), when the call left (post.calledAt) and how late that was (post.latenessMs).
//
// # Changing it
//
// Wire names are written by hand; renaming a Go type changes nothing outside. New fields are optional. A breaking change
// is a new type ("….v2") emitted beside the old one. testdata/ has one golden file for each message: a changed file is a
// changed contract. schemas/ and asyncapi.yaml say the same to other languages; package consume reads events with safe
// defaults; docs/events.md is the manual.
package events
