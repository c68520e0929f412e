package asks

import (
	"time"

	"github.com/omni-write/threads/events"
)

// ValidatePost asks publisher whether a post would be accepted, by the very rules by which it would be, and what else its
// author should know. Nothing is stored. Answer: Validation.
type ValidatePost struct {
	UserID string       `json:"userId"`
	Draft  events.Draft `json:"draft"`
	// PublishAt is the time that is thought of; zero means now.
	PublishAt time.Time `json:"publishAt,omitzero"`
	// Fetch has the media looked at as Threads would, which takes a while.
	Fetch bool `json:"fetch,omitempty"`
}

// Subject is threads.ask.post.validate.
func (ValidatePost) Subject() string { return ask("post", "validate") }

// Validation is what would become of a post.
type Validation struct {
	// Valid says that the post would be accepted now.
	Valid bool `json:"valid"`
	// Errors would refuse it, Warnings would not.
	Errors   []events.Detail `json:"errors"`
	Warnings []events.Detail `json:"warnings"`
	// Parts are the texts of the post, or of each part of a chain, as Threads counts them.
	Parts []TextCount `json:"parts"`
	Media []MediaLook `json:"media"`

	AccountID string    `json:"accountId,omitempty"`
	PublishAt time.Time `json:"publishAt"`
	// Quota is what the account will have left at that time, this post not counted.
	Quota *Limits `json:"quota,omitempty"`
	Token *Runway `json:"token,omitempty"`
}

// TextCount is the length of a text as Threads counts it: emoji by their UTF-8 bytes, all else by code points.
type TextCount struct {
	Count int `json:"count"`
	Limit int `json:"limit"`
	Links int `json:"links"`
}

// MediaLook is what was found at the address of a picture or video.
type MediaLook struct {
	Pointer string `json:"pointer"` // to the media in the request: /media/0, /parts/1/media/0
	// Fetched says that it was looked at, and Usable that Threads should take it.
	Fetched bool `json:"fetched"`
	Usable  bool `json:"usable"`

	Format          string          `json:"format,omitempty"` // JPEG, PNG, MP4, MOV, or another word
	Bytes           int64           `json:"bytes,omitempty"`
	Width           int             `json:"width,omitempty"`
	Height          int             `json:"height,omitempty"`
	DurationSeconds float64         `json:"durationSeconds,omitempty"`
	VideoCodec      string          `json:"videoCodec,omitempty"`
	AudioCodec      string          `json:"audioCodec,omitempty"`
	Problems        []events.Detail `json:"problems,omitempty"`
}

// Runway is how long the account's grant lasts, seen from the time of the post.
type Runway struct {
	Status    events.ConnectionStatus `json:"status"`
	ExpiresAt time.Time               `json:"expiresAt"` // refreshed before, unless Threads refuses
	// DaysLeft is whole days from the time of the post until the token ends, were it never refreshed again; negative when
	// the post comes after.
	DaysLeft int `json:"daysLeft"`
}
