package asks

import "time"

// SearchPosts asks for public posts with a word or a topic tag. Answer: ThreadsPage.
type SearchPosts struct {
	UserID    string    `json:"userId"`
	AccountID string    `json:"accountId,omitempty"`
	Query     string    `json:"query"`
	Recent    bool      `json:"recent,omitempty"`    // the latest first; else the most popular
	Tag       bool      `json:"tag,omitempty"`       // Query is a topic tag
	MediaType string    `json:"mediaType,omitempty"` // text, image, video
	Author    string    `json:"author,omitempty"`
	Since     time.Time `json:"since,omitzero"`
	Until     time.Time `json:"until,omitzero"`
	Limit     int       `json:"limit,omitempty"`
	After     string    `json:"after,omitempty"`
}

// LookUpProfile asks for what anyone may see of a public profile. Answer: PublicProfile.
type LookUpProfile struct {
	UserID    string `json:"userId"`
	AccountID string `json:"accountId,omitempty"`
	Username  string `json:"username"`
}

// ListProfilePosts asks for the posts of a public profile. Answer: ThreadsPage.
type ListProfilePosts struct {
	UserID    string    `json:"userId"`
	AccountID string    `json:"accountId,omitempty"`
	Username  string    `json:"username"`
	Since     time.Time `json:"since,omitzero"`
	Until     time.Time `json:"until,omitzero"`
	Limit     int       `json:"limit,omitempty"`
	After     string    `json:"after,omitempty"`
}

// FindLocations asks for places by name, near a point, or both. Answer: LocationList.
type FindLocations struct {
	UserID    string   `json:"userId"`
	AccountID string   `json:"accountId,omitempty"`
	Name      string   `json:"name,omitempty"`
	Latitude  *float64 `json:"latitude,omitempty"`
	Longitude *float64 `json:"longitude,omitempty"`
}

// PublicProfile is what anyone may see of a profile. The counts are of the last seven days, but for the followers.
type PublicProfile struct {
	Username          string `json:"username"`
	Name              string `json:"name,omitempty"`
	Bio               string `json:"bio,omitempty"`
	ProfilePictureURL string `json:"profilePictureUrl,omitempty"`
	IsVerified        bool   `json:"isVerified"`
	Followers         int    `json:"followers"`
	Likes             int    `json:"likes"`
	Quotes            int    `json:"quotes"`
	Replies           int    `json:"replies"`
	Reposts           int    `json:"reposts"`
	Views             int    `json:"views"`
}

// LocationList is the places that were found.
type LocationList struct {
	Items []Location `json:"items"`
}

// Location is a place that a post can be tagged with, by its id.
type Location struct {
	ID         string  `json:"id"`
	Name       string  `json:"name"`
	Address    string  `json:"address,omitempty"`
	City       string  `json:"city,omitempty"`
	Country    string  `json:"country,omitempty"`
	PostalCode string  `json:"postalCode,omitempty"`
	Latitude   float64 `json:"latitude"`
	Longitude  float64 `json:"longitude"`
}

// Subject is threads.ask.search.posts.
func (SearchPosts) Subject() string { return ask("search", "posts") }

// Subject is threads.ask.search.profile.
func (LookUpProfile) Subject() string { return ask("search", "profile") }

// Subject is threads.ask.search.profile_posts.
func (ListProfilePosts) Subject() string { return ask("search", "profile_posts") }

// Subject is threads.ask.search.locations.
func (FindLocations) Subject() string { return ask("search", "locations") }
