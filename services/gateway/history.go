package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/asks"
	"github.com/omni-write/threads/internal/bus"
)

const routeHistoryImport = "/api/threads/history/import"

// ImportRequest says what of an account's history is taken over.
type ImportRequest struct {
	AccountID string     `json:"accountId,omitempty" maxLength:"128" doc:"Which connected account; may be left out when there is only one."`
	Since     *time.Time `json:"since,omitempty" doc:"Only posts since then: RFC 3339 with Z or an offset. Left out: as far back as Threads tells."`
	Replies   bool       `json:"replies,omitempty" doc:"Take over the account's replies, too."`
}

type importHistoryInput struct {
	Change
	Body *ImportRequest
}

// importHistory takes over the posts that an account made elsewhere.
func (h *engagementHandlers) importHistory(ctx context.Context, in *importHistoryInput) (*answer, error) {
	cmd := events.ImportHistory{UserID: userOf(ctx)}
	if in.Body != nil {
		cmd.AccountID, cmd.Replies = in.Body.AccountID, in.Body.Replies
		if in.Body.Since != nil {
			cmd.Since = in.Body.Since.UTC()
		}
	}
	done, id, err := send[asks.HistoryImport](ctx, h.commands, &in.Change, cmd, in.Body)
	switch {
	case err != nil:
		return nil, err
	case done == nil:
		return pending(id, ""), nil
	}
	return &answer{Status: http.StatusOK, Body: done}, nil
}

type historyImportOutput struct{ Body asks.HistoryImport }

// getHistoryImport shows how far an import is, or how the last one ended.
func (h *engagementHandlers) getHistoryImport(ctx context.Context, in *AccountQuery) (*historyImportOutput, error) {
	progress, err := bus.Ask[asks.HistoryImport](ctx, h.bus, asks.GetHistoryImport{UserID: userOf(ctx), AccountID: in.AccountID})
	if err != nil {
		return nil, err
	}
	return &historyImportOutput{Body: progress}, nil
}
