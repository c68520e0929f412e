package accounts

// AccountQuery names an account in the query. It is exported, like Change, because huma looks into exported fields only.
type AccountQuery struct {
	AccountID string `query:"accountId" doc:"Which connected account; may be left out when there is only one."`
}
