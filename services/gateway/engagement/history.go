package engagement

import (
	"context"
	"net/http"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/gateway/accounts"
	"github.com/omni-write/threads/services/gateway/command"
	"github.com/omni-write/threads/services/gateway/signin"
)

// RouteHistoryImport is where the import of a history is begun and followed.
const RouteHistoryImport = "/api/threads/history/import"

// ImportRequest says what of an account's history is taken over.
type ImportRequest struct {
	AccountID string     `json:"accountId,omitempty" maxLength:"128" doc:"Which connected account; may be left out when there is only one."`
	Since     *time.Time `json:"since,omitempty" doc:"Only posts since then: RFC 3339 with Z or an offset. Left out: as far back as Threads tells."`
	Replies   bool       `json:"replies,omitempty" doc:"Take over the account's replies, too."`
}

type importHistoryInput struct {
	command.Change
	Body *ImportRequest
}

// ImportHistory takes over the posts that an account made elsewhere.
func (h *Handlers) ImportHistory(ctx context.Context, in *importHistoryInput) (*command.Answer, error) {
	cmd := events.ImportHistory{UserID: signin.UserOf(ctx)}
	if in.Body != nil {
		cmd.AccountID, cmd.Replies = in.Body.AccountID, in.Body.Replies
		if in.Body.Since != nil {
			cmd.Since = in.Body.Since.UTC()
		}
	}
	done, id, err := command.Send[asks.HistoryImport](ctx, h.Commands, &in.Change, cmd, in.Body)
	switch {
	case err != nil:
		return nil, err
	case done == nil:
		return command.StillPending(id, ""), nil
	}
	return &command.Answer{Status: http.StatusOK, Body: done}, nil
}

type historyImportOutput struct{ Body asks.HistoryImport }

// GetHistoryImport shows how far an import is, or how the last one ended.
func (h *Handlers) GetHistoryImport(ctx context.Context, in *accounts.AccountQuery) (*historyImportOutput, error) {
	progress, err := bus.Ask[asks.HistoryImport](ctx, h.Bus, asks.GetHistoryImport{UserID: signin.UserOf(ctx), AccountID: in.AccountID})
	if err != nil {
		return nil, err
	}
	return &historyImportOutput{Body: progress}, nil
}
