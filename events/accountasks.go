package events

import "time"

// What publisher answers about an account at Threads: its limits, its figures, its history, and the posts of others that
// concern it. AccountID may be empty wherever the user has only one account.

// GetLimits asks how much of an account's allowances is left, now or at a later time. Answer: Limits.
type GetLimits struct {
	UserID    string    `json:"userId"`
	AccountID string    `json:"accountId,omitempty"`
	At        time.Time `json:"at,omitzero"` // zero: now
}

// Limits is how much of its allowances an account has left at a moment. All of them are of a moving day.
type Limits struct {
	AccountID string    `json:"accountId"`
	At        time.Time `json:"at"`
	// ReadAt is when Threads was asked. Where it could not be, Problem says why, and the figures are ours alone.
	ReadAt  *time.Time `json:"readAt"`
	Problem *Fault     `json:"problem,omitempty"`

	Posts            Allowance `json:"posts"`
	Replies          Allowance `json:"replies"`
	Deletes          Allowance `json:"deletes"`
	LocationSearches Allowance `json:"locationSearches"`
	KeywordSearches  Allowance `json:"keywordSearches"`
	ProfileLookups   Allowance `json:"profileLookups"`
}

// Allowance is one of them.
type Allowance struct {
	Total int `json:"total"`
	// Used is what counts at the moment asked for, as far as it is used already: by us, or by another app of the owner.
	Used int `json:"used"`
	// Scheduled is what our queue will have used by then and that still counts.
	Scheduled int `json:"scheduled"`
	Remaining int `json:"remaining"`
	// FreeAt is when the next place comes back, where all are taken and we know.
	FreeAt *time.Time `json:"freeAt,omitempty"`
}

// GetAccountInsights asks for the figures of an account. Answer: Insights.
type GetAccountInsights struct {
	UserID    string    `json:"userId"`
	AccountID string    `json:"accountId,omitempty"`
	Metrics   []string  `json:"metrics,omitempty"`   // none: all that need no breakdown
	Since     time.Time `json:"since,omitzero"`      // zero: a day before until
	Until     time.Time `json:"until,omitzero"`      // zero: now
	Breakdown string    `json:"breakdown,omitempty"` // country, city, age, gender
	Snapshots int       `json:"snapshots,omitempty"` // the latest so many of those that were kept
}

// GetPostInsights asks for the figures of a post, by our id or by Threads' media id. Answer: Insights.
type GetPostInsights struct {
	UserID    string   `json:"userId"`
	AccountID string   `json:"accountId,omitempty"`
	ID        string   `json:"id"`
	Metrics   []string `json:"metrics,omitempty"` // none: all
	Snapshots int      `json:"snapshots,omitempty"`
}

// Insights are figures as Threads tells them, and as they were before.
type Insights struct {
	AccountID string     `json:"accountId"`
	PostID    string     `json:"postId,omitempty"` // ours, where we have the post
	MediaID   string     `json:"mediaId,omitempty"`
	ReadAt    time.Time  `json:"readAt"`
	Since     *time.Time `json:"since,omitempty"`
	Until     *time.Time `json:"until,omitempty"`
	Metrics   []Metric   `json:"metrics"`
	// Snapshots are the figures that were kept, the oldest first. Those of an account are of a day each.
	Snapshots []InsightSnapshot `json:"snapshots"`
}

// Metric is one figure, in whichever of Threads' shapes it came.
type Metric struct {
	Name   string `json:"name"`
	Period string `json:"period,omitempty"` // lifetime, day
	Title  string `json:"title,omitempty"`
	// Total is the figure where there is one for the whole time.
	Total     *float64      `json:"total,omitempty"`
	Days      []MetricDay   `json:"days,omitempty"`
	Links     []MetricLink  `json:"links,omitempty"`
	Breakdown []MetricGroup `json:"breakdown,omitempty"`
}

// MetricDay is the figure of the day that ends at End.
type MetricDay struct {
	Value float64    `json:"value"`
	End   *time.Time `json:"end,omitempty"`
}

// MetricLink is the figure of one address.
type MetricLink struct {
	URL   string  `json:"url"`
	Value float64 `json:"value"`
}

// MetricGroup is the figure of one group, such as US.
type MetricGroup struct {
	Group string  `json:"group"`
	Value float64 `json:"value"`
}

// InsightSnapshot is figures as they were at a moment, by the names of their metrics. A metric that comes by day or by
// link is its sum.
type InsightSnapshot struct {
	At     time.Time          `json:"at"`
	Values map[string]float64 `json:"values"`
}

// ListReplies asks for what was said below a post, which is named by our id or Threads' media id. Answer: ThreadsPage.
type ListReplies struct {
	UserID    string `json:"userId"`
	AccountID string `json:"accountId,omitempty"`
	ID        string `json:"id"`
	// Conversation asks for replies of every depth; else the direct ones. Pending asks for those that wait for approval,
	// and Status narrows them to pending or ignored.
	Conversation bool   `json:"conversation,omitempty"`
	Pending      bool   `json:"pending,omitempty"`
	Status       string `json:"status,omitempty"`
	OldestFirst  bool   `json:"oldestFirst,omitempty"`
	Limit        int    `json:"limit,omitempty"` // 1 to 100; 0 means 25
	After        string `json:"after,omitempty"`
}

// ListMentions asks for the public posts of others that name the account. Answer: ThreadsPage.
type ListMentions struct {
	UserID    string    `json:"userId"`
	AccountID string    `json:"accountId,omitempty"`
	Since     time.Time `json:"since,omitzero"`
	Until     time.Time `json:"until,omitzero"`
	Limit     int       `json:"limit,omitempty"`
	After     string    `json:"after,omitempty"`
}

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

// GetHistoryImport asks how the last import of an account's history stands. Answer: HistoryImport.
type GetHistoryImport struct {
	UserID    string `json:"userId"`
	AccountID string `json:"accountId,omitempty"`
}

// ThreadsPost is a post as Threads shows it: the account's own or somebody else's. What Threads leaves out is left out.
type ThreadsPost struct {
	MediaID string `json:"mediaId"`
	// PostID is our id, where the post is one of the account's rows.
	PostID    string     `json:"postId,omitempty"`
	Permalink string     `json:"permalink,omitempty"`
	Text      string     `json:"text,omitempty"`
	MediaType string     `json:"mediaType,omitempty"` // Threads' word: TEXT_POST, IMAGE, VIDEO, CAROUSEL_ALBUM, …
	Timestamp *time.Time `json:"timestamp,omitempty"`

	Username          string `json:"username,omitempty"`
	IsVerified        bool   `json:"isVerified,omitempty"`
	ProfilePictureURL string `json:"profilePictureUrl,omitempty"`

	IsReply    bool   `json:"isReply,omitempty"`
	ReplyTo    string `json:"replyTo,omitempty"`
	RootID     string `json:"rootId,omitempty"`
	HasReplies bool   `json:"hasReplies,omitempty"`
	QuotedID   string `json:"quotedId,omitempty"`
	RepostedID string `json:"repostedId,omitempty"`
	// Mine says that the account wrote it.
	Mine bool `json:"mine,omitempty"`
	// HideStatus is NOT_HUSHED, UNHUSHED, HIDDEN, COVERED, BLOCKED, RESTRICTED; ApprovalStatus of a reply that waits is
	// pending or ignored.
	HideStatus     string `json:"hideStatus,omitempty"`
	ApprovalStatus string `json:"approvalStatus,omitempty"`
}

// ThreadsPage is a page of posts as Threads lists them. Next is empty on the last page; a page may be short, or empty, and
// yet not be the last.
type ThreadsPage struct {
	Items []ThreadsPost `json:"items"`
	Next  string        `json:"next,omitempty"`
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

// HistoryImport is how an import of an account's history stands, or how the last one ended.
type HistoryImport struct {
	AccountID string `json:"accountId"`
	CommandID string `json:"commandId,omitempty"`
	Status    string `json:"status"` // none, running, done, failed
	// Listed is how many posts Threads listed: Imported are new here, Known were here, HeldBack could be posts of ours
	// whose outcome is not known yet; the next import looks at them again.
	Listed     int        `json:"listed"`
	Imported   int        `json:"imported"`
	Known      int        `json:"known"`
	HeldBack   int        `json:"heldBack"`
	Oldest     *time.Time `json:"oldest,omitempty"`
	Fault      *Fault     `json:"fault,omitempty"`
	StartedAt  *time.Time `json:"startedAt,omitempty"`
	UpdatedAt  *time.Time `json:"updatedAt,omitempty"`
	FinishedAt *time.Time `json:"finishedAt,omitempty"`
}

// ImportHistory has the posts that an account made elsewhere taken over, the latest first. Result: HistoryImport.
type ImportHistory struct {
	UserID    string    `json:"userId"`
	AccountID string    `json:"accountId,omitempty"`
	Since     time.Time `json:"since,omitzero"` // zero: as far back as Threads tells
	Replies   bool      `json:"replies,omitempty"`
}

// HideReply hides a reply in a conversation of the account, or shows it again. Result: ReplyState.
type HideReply struct {
	UserID    string `json:"userId"`
	AccountID string `json:"accountId,omitempty"`
	ID        string `json:"id"`
	Hide      bool   `json:"hide"`
}

// ApproveReply lets a reply be seen that waits for approval, or ignores it. Result: ReplyState.
type ApproveReply struct {
	UserID    string `json:"userId"`
	AccountID string `json:"accountId,omitempty"`
	ID        string `json:"id"`
	Approve   bool   `json:"approve"`
}

// ReplyState is what became of a reply: one of the two is set.
type ReplyState struct {
	AccountID string `json:"accountId"`
	MediaID   string `json:"mediaId"`
	Hidden    *bool  `json:"hidden,omitempty"`
	Approved  *bool  `json:"approved,omitempty"`
}

// Subject is threads.ask.limits.get.
func (GetLimits) Subject() string { return ask("limits", "get") }

// Subject is threads.ask.insights.account.
func (GetAccountInsights) Subject() string { return ask("insights", "account") }

// Subject is threads.ask.insights.post.
func (GetPostInsights) Subject() string { return ask("insights", "post") }

// Subject is threads.ask.reply.list.
func (ListReplies) Subject() string { return ask("reply", "list") }

// Subject is threads.ask.mention.list.
func (ListMentions) Subject() string { return ask("mention", "list") }

// Subject is threads.ask.search.posts.
func (SearchPosts) Subject() string { return ask("search", "posts") }

// Subject is threads.ask.search.profile.
func (LookUpProfile) Subject() string { return ask("search", "profile") }

// Subject is threads.ask.search.profile_posts.
func (ListProfilePosts) Subject() string { return ask("search", "profile_posts") }

// Subject is threads.ask.search.locations.
func (FindLocations) Subject() string { return ask("search", "locations") }

// Subject is threads.ask.history.get.
func (GetHistoryImport) Subject() string { return ask("history", "get") }

// Type is the wire name.
func (ImportHistory) Type() string { return "post.import.v1" }

// Type is the wire name.
func (HideReply) Type() string { return "post.hide.v1" }

// Type is the wire name.
func (ApproveReply) Type() string { return "post.approve.v1" }

// Subject is threads.cmd.post.import.
func (ImportHistory) Subject() string { return command("post", "import") }

// Subject is threads.cmd.post.hide.
func (HideReply) Subject() string { return command("post", "hide") }

// Subject is threads.cmd.post.approve.
func (ApproveReply) Subject() string { return command("post", "approve") }

// Actor is the user.
func (c ImportHistory) Actor() string { return c.UserID }

// Actor is the user.
func (c HideReply) Actor() string { return c.UserID }

// Actor is the user.
func (c ApproveReply) Actor() string { return c.UserID }
