package events

import "encoding/json"

// OwnerOf is the user whom an event is about, read from its body: a post's or a connection's, or the event's own userId. It
// reads types of a newer version too. Empty means that nobody's name is in it; then it is for nobody's eyes.
func OwnerOf(body []byte) string {
	var fact struct {
		UserID     string `json:"userId"`
		Post       owned  `json:"post"`
		Connection owned  `json:"connection"`
	}
	if json.Unmarshal(body, &fact) != nil {
		return ""
	}
	switch {
	case fact.UserID != "":
		return fact.UserID
	case fact.Post.UserID != "":
		return fact.Post.UserID
	}
	return fact.Connection.UserID
}

type owned struct {
	UserID string `json:"userId"`
}
