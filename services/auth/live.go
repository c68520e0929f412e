package auth

import (
	"context"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
)

// RedeemTicket says who a ticket stands for, once: the gateway opens a live stream for them.
func (s *Service) RedeemTicket(ctx context.Context, q events.RedeemTicket) (events.TicketHolder, error) {
	holder, err := s.redeem(ctx, q.Ticket, events.TicketStream)
	if err != nil {
		return events.TicketHolder{}, err
	}
	return events.TicketHolder{UserID: holder.User, SignedInUntil: holder.Until}, nil
}

// ListAccountIDs lists every account that a user has or had.
func (s *Service) ListAccountIDs(ctx context.Context, q events.ListAccountIDs) (events.AccountIDs, error) {
	ids, err := accounts.IDsOf(ctx, s.db, q.UserID)
	return events.AccountIDs{IDs: ids}, err
}
