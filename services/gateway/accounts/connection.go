// Package accounts answers what is asked of connected accounts, and connects them: the OAuth flow in the browser and its two
// ends.
package accounts

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
	"github.com/omni-write/threads/services/gateway/command"
	"github.com/omni-write/threads/services/gateway/signin"
)

// Handlers answer what is asked of connected accounts; how one is connected is in oauth.go and connect.go.
type Handlers struct {
	Options
	frontends map[string]bool // the origins whose pages may begin to connect an account
}

// Options is what the handlers work with.
type Options struct {
	Bus      *bus.Bus
	Commands *command.Sender
	Verifier *signin.Verifier

	Public                 *url.URL // where browsers reach this gateway
	SuccessURL, FailureURL string   // where a browser ends after connecting
	CORSOrigins            []string // of the pages that may call the API
}

// New makes the handlers.
func New(o Options) *Handlers {
	return &Handlers{Options: o, frontends: frontendOrigins(o)}
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

// GetConnection shows the named account, or the only one; {"connected": false} when there is none at all.
func (h *Handlers) GetConnection(ctx context.Context, in *AccountQuery) (*connectionOutput, error) {
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

func (h *Handlers) connections(ctx context.Context) ([]events.Connection, error) {
	list, err := bus.Ask[asks.ConnectionList](ctx, h.Bus, asks.ListConnections{UserID: signin.UserOf(ctx)})
	return list.Connections, err
}

type connectionsOutput struct{ Body []Connection }

// ListConnections shows all accounts, the oldest first.
func (h *Handlers) ListConnections(ctx context.Context, _ *struct{}) (*connectionsOutput, error) {
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
	command.Change
	AccountQuery

	Posts string `query:"posts" enum:"cancel,keep" doc:"What becomes of the queue: cancel (usual), or keep, to go out after the next connect."`
	Erase bool   `query:"erase" doc:"Forget everything of the account here, its posts and history too, for good. erasureCode says where to ask how that goes."`
}

// Disconnect forgets an account.
func (h *Handlers) Disconnect(ctx context.Context, in *disconnectInput) (*command.Answer, error) {
	if in.Erase && in.Posts == "keep" {
		const words = "What is erased cannot be kept; leave out posts=keep or erase=true."
		return nil, events.Faultf(events.Invalid, words).At("/posts", "erase_keeps_nothing", words)
	}
	cmd := events.Disconnect{UserID: signin.UserOf(ctx), AccountID: in.AccountID, KeepPosts: in.Posts == "keep", Erase: in.Erase}
	return connectionAnswer(command.Send[events.Connection](ctx, h.Commands, &in.Change, cmd, nil))
}

type refreshInput struct {
	command.Change
	Body *RefreshRequest
}

// RefreshRequest names the account whose token is refreshed.
type RefreshRequest struct {
	AccountID string `json:"accountId,omitempty" maxLength:"128" doc:"May be left out when there is only one."`
}

// Refresh refreshes an account's long-lived token now.
func (h *Handlers) Refresh(ctx context.Context, in *refreshInput) (*command.Answer, error) {
	cmd := events.RefreshToken{UserID: signin.UserOf(ctx)}
	if in.Body != nil {
		cmd.AccountID = in.Body.AccountID
	}
	return connectionAnswer(command.Send[events.Connection](ctx, h.Commands, &in.Change, cmd, RefreshRequest{AccountID: cmd.AccountID}))
}

func connectionAnswer(row *events.Connection, commandID string, err error) (*command.Answer, error) {
	switch {
	case err != nil:
		return nil, err
	case row == nil:
		return command.StillPending(commandID, ""), nil
	}
	return &command.Answer{Status: http.StatusOK, Body: connectionOf(row)}, nil
}

type profileOutput struct{ Body asks.Profile }

// profileWithin is longer than other questions get: Threads is asked.
const profileWithin = 20 * time.Second

// GetProfile shows the Threads profile behind an account, read from Threads now.
func (h *Handlers) GetProfile(ctx context.Context, in *AccountQuery) (*profileOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, profileWithin)
	defer cancel()
	profile, err := bus.Ask[asks.Profile](ctx, h.Bus, asks.GetProfile{UserID: signin.UserOf(ctx), AccountID: in.AccountID})
	if err != nil {
		return nil, err
	}
	return &profileOutput{Body: profile}, nil
}
