package posts

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Conditional is part of requests for something that the client may have already. It is exported because huma looks into
// exported fields only.
type Conditional struct {
	IfNoneMatch string `header:"If-None-Match" doc:"The ETag that you have; when nothing has changed the answer is 304, without a body."`
}

// has says whether the client has what the tag stands for (RFC 9110, weakly compared).
func (c *Conditional) has(tag string) bool {
	for offer := range strings.SplitSeq(c.IfNoneMatch, ",") {
		offer = strings.TrimSpace(offer)
		if offer == "*" || offer != "" && strings.TrimPrefix(offer, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

// tagOf is the ETag of what a post shows: its rev, and a print of the rest, for attempts are noted without a new rev. If-Match
// takes it as well, and looks at the rev.
func tagOf(rev int64, body any) (string, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return "", fmt.Errorf("encode what the tag is of: %w", err)
	}
	sum := sha256.Sum256(b)
	return strconv.Quote(strconv.FormatInt(rev, 10) + "-" + hex.EncodeToString(sum[:6])), nil
}
