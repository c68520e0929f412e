package auth

import (
	"context"

	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
)

// RedeemTicket says who a ticket stands for, once: the gateway opens a live stream for them.
func (s *Service) RedeemTicket(ctx context.Context, q asks.RedeemTicket) (asks.TicketHolder, error) {
	holder, err := s.redeem(ctx, q.Ticket, asks.TicketStream)
	if err != nil {
		return asks.TicketHolder{}, err
	}
	return asks.TicketHolder{UserID: holder.User, SignedInUntil: holder.Until}, nil
}

// ListAccountIDs lists every account that a user has or had.
func (s *Service) ListAccountIDs(ctx context.Context, q asks.ListAccountIDs) (asks.AccountIDs, error) {
	ids, err := accounts.IDsOf(ctx, s.db, q.UserID)
	return asks.AccountIDs{IDs: ids}, err
}
