package threads

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// Media is a published post as Threads shows it. What Threads leaves out, or was not asked for, is zero. Words such as
// MediaType are open lists: Threads adds to them.
type Media struct {
	ID string
	// Permalink may be missing for some seconds after a publish, and for ever on flagged media.
	Permalink string
	Shortcode string
	Text      string
	// MediaType is TEXT_POST, IMAGE, VIDEO, CAROUSEL_ALBUM, AUDIO, REPOST_FACADE or a word yet to come.
	MediaType string
	Timestamp time.Time
	// ChildIDs of a carousel equal the ids of its child containers as far as anyone has seen.
	ChildIDs  []string
	IsReply   bool
	ReplyToID string
	// IsQuote holds even where the post quoted is gone, and QuotedID with it.
	IsQuote    bool
	QuotedID   string
	RepostedID string

	// From here on: only what Detail asks for, and lists of replies and mentions in part.

	OwnerID      string // of own top-level posts
	Username     string
	MediaURL     string // expires
	ThumbnailURL string // of videos; expires
	AltText      string
	LinkURL      string
	GIFURL       string
	TopicTag     string
	Poll         *PollResult
	HasReplies   bool
	RootID       string
	// ReplyOfMine says that the reply was written by the token's owner.
	ReplyOfMine bool
	// HideStatus is NOT_HUSHED, UNHUSHED, HIDDEN, COVERED, BLOCKED, RESTRICTED.
	HideStatus string
	// ReplyAudience is EVERYONE, ACCOUNTS_YOU_FOLLOW, MENTIONED_ONLY, PARENT_POST_AUTHOR_ONLY, FOLLOWERS_ONLY.
	ReplyAudience string
	// ApprovalStatus of a pending reply is pending or ignored.
	ApprovalStatus string
	SpoilerMedia   bool
	Spoilers       []TextRange
	TextAttachment *TextAttachment
	// GhostStatus is ACTIVE or ARCHIVED.
	GhostStatus    string
	GhostExpires   time.Time
	LocationID     string
	Location       *Location
	Countries      []string
	AuthorVerified bool
	AuthorPicture  string
}

// PollResult is how a poll stands.
type PollResult struct {
	Options    []PollOption
	TotalVotes int
	ExpiresAt  time.Time
}

// PollOption is an answer of a poll, with its share of the votes in percent.
type PollOption struct {
	Text    string
	Percent float64
}

// What is asked for is no more than a call needs: one field that the token's scopes do not cover fails the whole call, and
// so does a name that does not exist.
const (
	postFields   = "id,permalink,shortcode,text,media_type,timestamp,children,is_quote_post,quoted_post,reposted_post"
	replyFields  = postFields + ",is_reply,replied_to"
	othersFields = replyFields + ",username,has_replies,root_post,is_verified,profile_picture_url"
	publicFields = "id,permalink,shortcode,text,media_type,timestamp,username,has_replies,is_quote_post,is_reply"
	detailFields = replyFields + ",owner,username,media_url,thumbnail_url,alt_text,link_attachment_url,gif_url,topic_tag," +
		"poll_attachment{option_a,option_b,option_c,option_d,option_a_votes_percentage,option_b_votes_percentage," +
		"option_c_votes_percentage,option_d_votes_percentage,total_votes,expiration_timestamp}," +
		"is_spoiler_media,text_entities,text_attachment,ghost_post_status,ghost_post_expiration_timestamp," +
		"allowlisted_country_codes"
	detailReplyFields    = ",has_replies,root_post,is_reply_owned_by_me,hide_status,reply_audience"
	detailLocationFields = ",location_id,location{id,name,address,city,country,latitude,longitude,postal_code}"
)

// Media reads one post of the token's owner.
//
// https://developers.facebook.com/documentation/threads/reference/media-retrieval
func (c *Client) Media(ctx context.Context, token Token, mediaID string) (Media, error) {
	return c.media(ctx, token, mediaID, replyFields)
}

// Detail reads all that the scopes let one know of a post.
//
// https://developers.facebook.com/documentation/threads/reference/media-retrieval
func (c *Client) Detail(ctx context.Context, token Token, mediaID string, scopes []string) (Media, error) {
	fields := detailFields
	if slices.Contains(scopes, ScopeReadReplies) {
		fields += detailReplyFields
	}
	if slices.Contains(scopes, ScopeLocationTagging) {
		fields += detailLocationFields
	}
	return c.media(ctx, token, mediaID, fields)
}

func (c *Client) media(ctx context.Context, token Token, mediaID, fields string) (Media, error) {
	q := call{
		op:     OpMedia,
		method: http.MethodGet,
		path:   "/v1.0/" + mediaID,
		query:  url.Values{"fields": {fields}},
		token:  token,
	}
	if !isID(mediaID) {
		return Media{}, c.badID(q, mediaID)
	}
	var answer wireMedia
	if err := c.do(ctx, q, &answer); err != nil {
		return Media{}, err
	}
	if answer.ID == "" {
		return Media{}, c.unanswered(q, http.StatusOK, errors.New("answer without an id"))
	}
	return answer.media(), nil
}

// ListQuery narrows a list. Zero fields are not sent; Threads' default limit is 25, its largest 100. Since is not before
// 5 July 2023, Until not in the future; both are documented for the owner's lists and the search, but not for what was
// said below a post. After and Before exclude each other.
type ListQuery struct {
	Since, Until  time.Time
	After, Before string
	Limit         int
	// OldestFirst turns the lists of replies around; the others do not know it.
	OldestFirst bool
}

// Page is one page of a list, newest first. The list goes on as long as After is not empty, be the page ever so short:
// what a reader may not see is taken out of a page after it was cut. Before is empty on an empty page.
type Page struct {
	Data          []Media
	After, Before string
}

// mostPages bounds a list that is read to its end; 50 pages of 100 are more than any quota of two days.
const mostPages = 50

// ErrEndless says that a list went on for longer than any honest one.
var ErrEndless = errors.New("the list of posts does not end")

// ReadAll reads one of the owner's lists to its end, from q.Since on. With an error comes what was read until then.
func ReadAll(ctx context.Context, list func(context.Context, Token, ListQuery) (Page, error), token Token, q ListQuery) (all []Media, err error) {
	q.Limit = MaxPage
	if q.Since.Before(EarliestList) {
		q.Since = EarliestList
	}
	for range mostPages {
		page, err := list(ctx, token, q)
		if err != nil {
			return all, err
		}
		all = append(all, page.Data...)
		if page.After == "" {
			return all, nil
		}
		q.After = page.After
	}
	return all, ErrEndless
}

// Posts lists the owner's top-level posts, quotes and reposts. Replies are not among them.
//
// https://developers.facebook.com/documentation/threads/retrieve-and-discover-posts/retrieve-posts
func (c *Client) Posts(ctx context.Context, token Token, q ListQuery) (Page, error) {
	return c.list(ctx, token, OpPosts, "/v1.0/me/threads", postFields, q)
}

// Replies lists the replies the owner wrote.
//
// https://developers.facebook.com/documentation/threads/retrieve-and-manage-replies/retrieve-replies
func (c *Client) Replies(ctx context.Context, token Token, q ListQuery) (Page, error) {
	return c.list(ctx, token, OpReplies, "/v1.0/me/replies", replyFields, q)
}

// GhostPosts lists the owner's ghost posts, those that vanish after a day.
//
// https://developers.facebook.com/documentation/threads/create-posts/ghost-posts
func (c *Client) GhostPosts(ctx context.Context, token Token, q ListQuery) (Page, error) {
	return c.list(ctx, token, OpGhostPosts, "/v1.0/me/ghost_posts", postFields, q)
}

// Mentions lists the public posts of others that name the owner.
//
// https://developers.facebook.com/documentation/threads/threads-mentions
func (c *Client) Mentions(ctx context.Context, token Token, q ListQuery) (Page, error) {
	return c.list(ctx, token, OpMentions, "/v1.0/me/mentions", othersFields, q)
}

func (c *Client) list(ctx context.Context, token Token, op, path, fields string, l ListQuery) (Page, error) {
	query := l.values()
	query.Set("fields", fields)
	return c.page(ctx, call{op: op, method: http.MethodGet, path: path, query: query, token: token})
}

func (l ListQuery) values() url.Values {
	query := url.Values{}
	if !l.Since.IsZero() {
		query.Set("since", strconv.FormatInt(l.Since.Unix(), 10))
	}
	if !l.Until.IsZero() {
		query.Set("until", strconv.FormatInt(l.Until.Unix(), 10))
	}
	if l.After != "" {
		query.Set("after", l.After)
	}
	if l.Before != "" {
		query.Set("before", l.Before)
	}
	if l.Limit > 0 {
		query.Set("limit", strconv.Itoa(min(l.Limit, 100)))
	}
	if l.OldestFirst {
		query.Set("reverse", "false")
	}
	return query
}

func (c *Client) page(ctx context.Context, q call) (Page, error) {
	var answer struct {
		Data   []wireMedia `json:"data"`
		Paging wirePaging  `json:"paging"`
	}
	if err := c.do(ctx, q, &answer); err != nil {
		return Page{}, err
	}
	// An empty list is [], and proves something: that a post is not there. No list at all proves nothing.
	if answer.Data == nil {
		return Page{}, c.unanswered(q, http.StatusOK, errors.New("answer without a list"))
	}
	page := Page{Data: make([]Media, 0, len(answer.Data))}
	for _, m := range answer.Data {
		if m.ID == "" {
			return Page{}, c.unanswered(q, http.StatusOK, errors.New("a list with a post without an id"))
		}
		page.Data = append(page.Data, m.media())
	}
	var err error
	if page.After, err = answer.Paging.after(len(page.Data)); err != nil {
		return Page{}, c.unanswered(q, http.StatusOK, err)
	}
	if len(page.Data) > 0 {
		page.Before = answer.Paging.Cursors.Before
	}
	return page, nil
}

// Delete removes a post for good. An error of class NotFound after an earlier try means that the earlier try worked.
//
// https://developers.facebook.com/documentation/threads/posts/delete-posts
func (c *Client) Delete(ctx context.Context, token Token, mediaID string) error {
	q := call{op: OpDelete, method: http.MethodDelete, path: "/v1.0/" + mediaID, token: token}
	if !isID(mediaID) {
		return c.badID(q, mediaID)
	}
	return c.confirmed(ctx, q)
}
