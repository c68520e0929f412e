package gateway

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
)

// accountHandlers answer what is asked of connected accounts; how one is connected is in oauth.go and connect.go.
type accountHandlers struct {
	bus      *bus.Bus
	commands *sender
	verifier *verifier

	public                 *url.URL        // where browsers reach this gateway
	successURL, failureURL string          // where a browser ends after connecting
	frontends              map[string]bool // the origins whose pages may begin to connect an account
}

// Connection says whether an account is connected, and is its row where there is one: the original's, without the token.
type Connection struct {
	// Connected is false, with the row beside it, when Threads no longer takes the account's token: connect it again.
	Connected bool `json:"connected" doc:"Whether the account can be used now; status says more."`
	*events.Connection
}

func connectionOf(row *events.Connection) Connection {
	return Connection{Connected: row != nil && row.Status == events.ConnectionActive, Connection: row}
}

// AccountQuery names an account in the query. It is exported, like Change, because huma looks into exported fields only.
type AccountQuery struct {
	AccountID string `query:"accountId" doc:"Which connected account; may be left out when there is only one."`
}

// MaybeConnection is the answer to whether an account is connected: just {"connected": false} where there is none.
type MaybeConnection struct{ Connection }

// Schema says both.
func (MaybeConnection) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{
		Description: "An account, or that there is none.",
		AnyOf: []*huma.Schema{
			r.Schema(reflect.TypeFor[Connection](), true, ""),
			{
				Type: huma.TypeObject, Required: []string{"connected"},
				Properties: map[string]*huma.Schema{"connected": {Type: huma.TypeBoolean, Enum: []any{false}, Description: "No account is connected."}},
			},
		},
	}
}

type connectionOutput struct{ Body MaybeConnection }

// getConnection shows the named account, or the only one; {"connected": false} when there is none at all.
func (h *accountHandlers) getConnection(ctx context.Context, in *AccountQuery) (*connectionOutput, error) {
	list, err := h.connections(ctx)
	if err != nil {
		return nil, err
	}
	if in.AccountID != "" {
		for i := range list {
			if list[i].ID == in.AccountID {
				return &connectionOutput{Body: MaybeConnection{connectionOf(&list[i])}}, nil
			}
		}
		return nil, events.Faultf(events.NotFound, "There is no connected account with this id among yours.")
	}
	switch len(list) {
	case 0:
		return &connectionOutput{Body: MaybeConnection{connectionOf(nil)}}, nil
	case 1:
		return &connectionOutput{Body: MaybeConnection{connectionOf(&list[0])}}, nil
	}
	const several = "You have connected several Threads accounts; please name one by its id."
	return nil, events.Faultf(events.Invalid, several).At("/accountId", "account_required", several)
}

func (h *accountHandlers) connections(ctx context.Context) ([]events.Connection, error) {
	list, err := bus.Ask[asks.ConnectionList](ctx, h.bus, asks.ListConnections{UserID: userOf(ctx)})
	return list.Connections, err
}

type connectionsOutput struct{ Body []Connection }

// listConnections shows all accounts, the oldest first.
func (h *accountHandlers) listConnections(ctx context.Context, _ *struct{}) (*connectionsOutput, error) {
	list, err := h.connections(ctx)
	if err != nil {
		return nil, err
	}
	out := &connectionsOutput{Body: []Connection{}}
	for i := range list {
		out.Body = append(out.Body, connectionOf(&list[i]))
	}
	return out, nil
}

type disconnectInput struct {
	Change
	AccountQuery

	Posts string `query:"posts" enum:"cancel,keep" doc:"What becomes of the queue: cancel (usual), or keep, to go out after the next connect."`
	Erase bool   `query:"erase" doc:"Forget everything of the account here, its posts and history too, for good. erasureCode says where to ask how that goes."`
}

// disconnect forgets an account.
func (h *accountHandlers) disconnect(ctx context.Context, in *disconnectInput) (*answer, error) {
	if in.Erase && in.Posts == "keep" {
		const words = "What is erased cannot be kept; leave out posts=keep or erase=true."
		return nil, events.Faultf(events.Invalid, words).At("/posts", "erase_keeps_nothing", words)
	}
	cmd := events.Disconnect{UserID: userOf(ctx), AccountID: in.AccountID, KeepPosts: in.Posts == "keep", Erase: in.Erase}
	return connectionAnswer(send[events.Connection](ctx, h.commands, &in.Change, cmd, nil))
}

type refreshInput struct {
	Change
	Body *RefreshRequest
}

// RefreshRequest names the account whose token is refreshed.
type RefreshRequest struct {
	AccountID string `json:"accountId,omitempty" maxLength:"128" doc:"May be left out when there is only one."`
}

// refresh refreshes an account's long-lived token now.
func (h *accountHandlers) refresh(ctx context.Context, in *refreshInput) (*answer, error) {
	cmd := events.RefreshToken{UserID: userOf(ctx)}
	if in.Body != nil {
		cmd.AccountID = in.Body.AccountID
	}
	return connectionAnswer(send[events.Connection](ctx, h.commands, &in.Change, cmd, RefreshRequest{AccountID: cmd.AccountID}))
}

func connectionAnswer(row *events.Connection, commandID string, err error) (*answer, error) {
	switch {
	case err != nil:
		return nil, err
	case row == nil:
		return pending(commandID, ""), nil
	}
	return &answer{Status: http.StatusOK, Body: connectionOf(row)}, nil
}

type profileOutput struct{ Body asks.Profile }

// profileWithin is longer than other questions get: Threads is asked.
const profileWithin = 20 * time.Second

// getProfile shows the Threads profile behind an account, read from Threads now.
func (h *accountHandlers) getProfile(ctx context.Context, in *AccountQuery) (*profileOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, profileWithin)
	defer cancel()
	profile, err := bus.Ask[asks.Profile](ctx, h.bus, asks.GetProfile{UserID: userOf(ctx), AccountID: in.AccountID})
	if err != nil {
		return nil, err
	}
	return &profileOutput{Body: profile}, nil
}
