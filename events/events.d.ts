// The facts on the stream EVENTS, for TypeScript: types alone, nothing that runs. docs/events.md says how to read them.
// Made from events/schemas by: go test ./events -update
//
// A list of values may grow, and so may the types: (string & {}) is what is not known yet.

/** A fact about a post: accepted. It carries the whole post as it is after the fact. */
export interface PostScheduled {
  post: Post;
}

/** A fact about a post: text, media or time changed. It carries the whole post as it is after the fact. */
export interface PostEdited {
  post: Post;
}

/** A fact about a post: its container is ready at Threads. It carries the whole post as it is after the fact. */
export interface PostPrepared {
  post: Post;
}

/** A fact about a post: waits, with a reason. It carries the whole post as it is after the fact. */
export interface PostPostponed {
  post: Post;
}

/** A fact about a post: called, outcome not yet known. It carries the whole post as it is after the fact. */
export interface PostUnconfirmed {
  post: Post;
}

/** A fact about a post: needs a person. It carries the whole post as it is after the fact. */
export interface PostParked {
  post: Post;
}

/** A fact about a post: one more part of a chain is live, others are to follow. It carries the whole post as it is after the fact. */
export interface PostPartPublished {
  post: Post;
}

/** A fact about a post: its owner has it tried once more. It carries the whole post as it is after the fact. */
export interface PostRetried {
  post: Post;
}

/** A fact about a post: live. It carries the whole post as it is after the fact. */
export interface PostPublished {
  post: Post;
}

/** A fact about a post: will not go out; the parts of a chain that are live stay. It carries the whole post as it is after the fact. */
export interface PostFailed {
  post: Post;
}

/** A fact about a post: taken back by its owner. It carries the whole post as it is after the fact. */
export interface PostCancelled {
  post: Post;
}

/** A fact about a post: its owner wants it off Threads. It carries the whole post as it is after the fact. */
export interface PostDeleteRequested {
  post: Post;
}

/** A fact about a post: Threads would not delete it; it is still live. It carries the whole post as it is after the fact. */
export interface PostDeleteFailed {
  post: Post;
}

/** A fact about a post: gone from Threads. It carries the whole post as it is after the fact. */
export interface PostDeleted {
  post: Post;
}

/** A fact about a post: made elsewhere, and taken over. It carries the whole post as it is after the fact. */
export interface PostImported {
  post: Post;
}

/** A fact about a post: of a live one more is known: its permalink came late, or a part of a chain is gone. It carries the whole post as it is after the fact. */
export interface PostUpdated {
  post: Post;
}

/** AccountConnected: the user allowed us in, for the first time or again. */
export interface AccountConnected {
  connection: Connection;
}

/** AccountDisconnected: the user took the account away; its token is gone. */
export interface AccountDisconnected {
  connection: Connection;
}

/** AccountReconnectRequired: Threads no longer takes the token. Endangered are the posts that wait for it. */
export interface AccountReconnectRequired {
  connection: Connection;
  reason: Reason;
  /** the ids of EndangeredPosts */
  endangered: string[];
  endangeredPosts?: EndangeredPost[];
  endangeredCount?: number;
}

/** AccountReconnectSoon: the connection ends at its ReconnectBy, and only its owner can renew it. It is emitted once a day, from ten days before. Endangered are the posts that are due after that. */
export interface AccountReconnectSoon {
  connection: Connection;
  endangeredPosts?: EndangeredPost[];
  endangeredCount?: number;
}

/** TokenRefreshed: the token lives for another while. */
export interface TokenRefreshed {
  connection: Connection;
}

/** AccountErased: an account and all that was known of it is being erased, here and now. It is emitted once, at the beginning; whoever keeps anything of the account or its posts should forget it. It is the one fact of the account that stays, and it names nothing that Threads told us. */
export interface AccountErased {
  userId: string;
  accountId: string;
  at: string;
}

/** AccountPaused: those who run the system hold the account's posts back. They are prepared, and none is published until AccountResumed; the time in which a post may be late runs on. The connection says since when, and why. */
export interface AccountPaused {
  connection: Connection;
}

/** AccountResumed: the account's posts go out again. Those that waited are due at once. */
export interface AccountResumed {
  connection: Connection;
}

/** ReplyReceived: somebody replied in a conversation of the account. */
export interface ReplyReceived {
  userId: string;
  accountId: string;
  /** MediaID is Threads' id of the post that it is about: the reply, the one that mentions, the one that came or went. */
  mediaId: string;
  at: string;
  username: string;
  text?: string;
  /** Threads' word: TEXT_POST, IMAGE, … */
  mediaType?: string;
  permalink?: string;
  /** RepliedTo is Threads' id of the post that it replies to, RootID of the one that the conversation began with. */
  repliedTo?: string;
  rootId?: string;
}

/** Mentioned: a public post names the account. */
export interface Mentioned {
  userId: string;
  accountId: string;
  /** MediaID is Threads' id of the post that it is about: the reply, the one that mentions, the one that came or went. */
  mediaId: string;
  at: string;
  username: string;
  text?: string;
  /** Threads' word: TEXT_POST, IMAGE, … */
  mediaType?: string;
  permalink?: string;
  /** RepliedTo is Threads' id of the post that it replies to, RootID of the one that the conversation began with. */
  repliedTo?: string;
  rootId?: string;
}

/** PublishedOnThreads: a post of the account is live, by whatever hand, ours or another's. Threads tells neither its text nor its container. */
export interface PublishedOnThreads {
  userId: string;
  accountId: string;
  /** MediaID is Threads' id of the post that it is about: the reply, the one that mentions, the one that came or went. */
  mediaId: string;
  at: string;
  mediaType?: string;
  permalink?: string;
}

/** DeletedOnThreads: a post of the account is gone from Threads, by whatever hand. */
export interface DeletedOnThreads {
  userId: string;
  accountId: string;
  /** MediaID is Threads' id of the post that it is about: the reply, the one that mentions, the one that came or went. */
  mediaId: string;
  at: string;
}

/** Media is one picture or video of a post. */
export interface Media {
  type: "image" | "video" | (string & {});
  url: string;
  altText?: string;
}

export interface Gif {
  id: string;
  /** GIPHY */
  provider: string;
}

/** StyledRange gives a stretch of a text attachment its looks: bold, italic, highlight, underline, strikethrough. */
export interface Style {
  offset: number;
  length: number;
  styles: string[];
}

export interface TextAttachment {
  plaintext: string;
  link?: string;
  styles?: Style[];
}

/** TextRange is a stretch of a text, in Unicode code points. */
export interface Spoiler {
  offset: number;
  length: number;
}

/** Part is one post of a chain, with what has become of it. The parts go out one after the other, each as the reply to the one before; those that are live stay live when a later one fails. */
export interface Part {
  text: string;
  media?: Media[];
  /** MediaID is Threads' id; empty while the part is not live. The times are as in Post. */
  mediaId?: string;
  permalink?: string;
  calledAt?: string;
  acceptedAt?: string;
  deletedAt?: string;
}

/** Detail points at one field of the input. */
export interface Detail {
  /** JSON pointer into the body, "/text" */
  pointer: string;
  /** machine word: "text_too_long" */
  code: string;
  /** one sentence: what is wrong and what to do */
  message: string;
}

export interface Reason {
  code: "invalid" | "key_reused" | "not_found" | "conflict" | "unauthorized" | "missing_scope" | "reauth_required" | "rate_limited" | "refused" | "paused" | "missed" | "outcome_unknown" | "unavailable" | "internal" | (string & {});
  message: string;
  /** Details names the fields at fault, all of them. */
  details?: Detail[];
  /** RetryAfter is how long to wait, in whole seconds; 0 where waiting does not help or nobody knows. */
  retryAfter?: number;
}

export interface Post {
  id: string;
  userId: string;
  provider: string;
  text: string;
  scheduledAt: string;
  status: "QUEUED" | "POSTED" | "FAILED" | "CANCELLED" | "DELETED" | (string & {});
  /** Threads media id */
  postedTweetId: string | null;
  errorMessage: string | null;
  createdAt: string;
  updatedAt: string;
  mediaUrl: string | null;
  accountId: string;
  kind: "post" | "repost" | "imported" | (string & {});
  media: Media[];
  /** ReplyControl is who may reply: everyone, accounts_you_follow, mentioned_only, parent_post_author_only, followers_only. */
  replyControl?: string;
  topicTag?: string;
  linkAttachment?: string;
  /** Poll has two to four answers; the text is the question. */
  poll?: string[];
  gif?: Gif;
  textAttachment?: TextAttachment;
  /** Spoilers are hidden until tapped: stretches of the text, or the media. */
  spoilers?: Spoiler[];
  spoilerMedia?: boolean;
  /** Ghost posts vanish after 24 hours. */
  ghost?: boolean;
  replyApprovals?: boolean;
  /** Location is the id of a place at Threads. */
  location?: string;
  /** Countries are the ISO 3166-1 alpha-2 codes of those who may see the post; none means everyone. */
  countries?: string[];
  /** IANA: Europe/Berlin */
  timeZone?: string;
  /** TimeDecision is what was decided where the zone's clocks change: first_of_two or second_of_two for an hour that comes twice, moved_forward for one that does not come; empty when there was nothing to decide. */
  timeDecision?: "first_of_two" | "second_of_two" | "moved_forward" | (string & {});
  /** LocalTime is ScheduledAt on the clocks of TimeZone, RFC 3339 with its offset. */
  localTime?: string;
  /** Parts are those of a chain; a post of one part has none. The text and media above are the first part's. */
  parts?: Part[];
  /** ReplyTo, QuotePostID and RepostOf are our id of a post or Threads' media id. */
  replyTo?: string;
  quotePostId?: string;
  repostOf?: string;
  state: "scheduled" | "ready" | "waiting" | "publishing" | "unconfirmed" | "concluding" | "parked" | "published" | "failed" | "cancelled" | (string & {});
  /** Rev counts the emitted changes of the post; an event carries the rev that it leads to. */
  rev: number;
  /** Reason says why a post waits, failed, is unconfirmed or parked. */
  reason: Reason | null;
  /** PublishWithin is how late, in seconds, the post may still go out. */
  publishWithin: number;
  permalink: string | null;
  /** CalledAt is when the publish call left, AcceptedAt when Threads' answer (or the proof that it is live) came. Of a chain it is the first part's that was called at or after ScheduledAt: one that is tried again for another time has it anew. */
  calledAt: string | null;
  acceptedAt: string | null;
  /** CalledAt − ScheduledAt, in milliseconds */
  latenessMs: number | null;
  deleteRequestedAt: string | null;
  deletedAt: string | null;
  /** Warnings are what its author should know of a post that is queued: it breaks no rule, and Threads may refuse it all the same. */
  warnings?: Detail[];
}

/** Feature is something that can be done with an account that has the scopes for it. */
export interface Unlock {
  name: string;
  unlocked: boolean;
  missingScopes: string[];
}

export interface Connection {
  id: string;
  provider: string;
  /** Threads user id */
  providerUserId: string;
  accessTokenExpiresAt: string | null;
  username: string | null;
  userId: string;
  createdAt: string;
  updatedAt: string;
  status: "active" | "reconnect_required" | "disconnected" | (string & {});
  scopes: string[];
  /** when the user last pressed Allow */
  grantedAt: string;
  /** ReconnectBy is set when what the user allowed ends soon and no refresh renews it: Threads does so to private profiles, 90 days after they pressed Allow. From then on nothing works until they press it again. */
  reconnectBy?: string;
  /** Unlocks is what the granted scopes allow and what they do not, where the connection itself was asked for. */
  unlocks?: Unlock[];
  /** PostsKept says of a disconnected account that its queue waits for the next connect. Else it is cancelled. */
  postsKept?: boolean;
  /** ErasureCode is set when the owner had the account erased: the code to ask with how that goes. */
  erasureCode?: string;
  /** PausedAt is set while those who run the system hold the account's posts back; PauseReason is what they say of it. */
  pausedAt?: string;
  pauseReason?: string;
  rev: number;
}

/** EndangeredPost is a post that waits for its owner to connect the account again. */
export interface EndangeredPost {
  id: string;
  publishAt: string;
}

/** Every fact by its type, which the header ce-type names. */
export interface Facts {
  "post.scheduled.v1": PostScheduled;
  "post.edited.v1": PostEdited;
  "post.prepared.v1": PostPrepared;
  "post.postponed.v1": PostPostponed;
  "post.unconfirmed.v1": PostUnconfirmed;
  "post.parked.v1": PostParked;
  "post.part_published.v1": PostPartPublished;
  "post.retried.v1": PostRetried;
  "post.published.v1": PostPublished;
  "post.failed.v1": PostFailed;
  "post.cancelled.v1": PostCancelled;
  "post.delete_requested.v1": PostDeleteRequested;
  "post.delete_failed.v1": PostDeleteFailed;
  "post.deleted.v1": PostDeleted;
  "post.imported.v1": PostImported;
  "post.updated.v1": PostUpdated;
  "account.connected.v1": AccountConnected;
  "account.disconnected.v1": AccountDisconnected;
  "account.reconnect_required.v1": AccountReconnectRequired;
  "account.reconnect_soon.v1": AccountReconnectSoon;
  "account.token_refreshed.v1": TokenRefreshed;
  "account.erased.v1": AccountErased;
  "account.paused.v1": AccountPaused;
  "account.resumed.v1": AccountResumed;
  "account.reply_received.v1": ReplyReceived;
  "account.mentioned.v1": Mentioned;
  "account.published_on_threads.v1": PublishedOnThreads;
  "account.deleted_on_threads.v1": DeletedOnThreads;
}

export type FactType = keyof Facts;
