package auth

import (
	"context"
	"errors"
	"time"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/internal/accounts"
	"github.com/omni-write/threads/internal/asks"
)

// ticketHolder is what a ticket stands for.
type ticketHolder struct {
	User string `json:"user"`
	// Until is when the sign-in ends with which it was got.
	Until time.Time `json:"until,omitzero"`
	// Purpose is what it is for. Empty in those that were given out for a gateway of the release before.
	Purpose asks.TicketPurpose `json:"purpose,omitempty"`
	// As is how the person knows the sign-in.
	As string `json:"as,omitempty"`
}

// oauthFlow is what is known of an OAuth flow between its beginning and its end.
type oauthFlow struct {
	User string `json:"user"`
	// CookieHash ties the flow to the browser that began it. Without it, a link with somebody else's code would
	// connect their Threads account to whoever clicks it.
	CookieHash []byte `json:"cookieHash"`
	// AccountID is the account that is to be connected again, if it is about one.
	AccountID string `json:"accountId,omitempty"`
	// Confirmed says that whoever began has to confirm the grant: whoever comes back may be somebody else, to whom the
	// beginner handed the address.
	Confirmed bool `json:"confirmed,omitempty"`
	// Page says that this browser may confirm it, at the gateway's own page.
	Page bool `json:"page,omitempty"`
	// As is how the beginner knows their sign-in.
	As string `json:"as,omitempty"`
}

// IssueTicket gives out a ticket that stands for the user once: a browser that follows a link cannot send a header.
func (s *Service) IssueTicket(ctx context.Context, q asks.IssueTicket) (asks.Ticket, error) {
	if q.UserID == "" {
		return asks.Ticket{}, errNobody
	}
	ticket := newSecret()
	if err := s.tickets.put(ctx, ticket, ticketHolder{User: q.UserID, Until: q.SignedInUntil, Purpose: q.Purpose, As: q.SignedInAs}); err != nil {
		return asks.Ticket{}, err
	}
	return asks.Ticket{Ticket: ticket, ExpiresIn: int(events.TicketLife / time.Second)}, nil
}

// BeginOAuth opens the flow for a user, or for the one whom the ticket stands for.
func (s *Service) BeginOAuth(ctx context.Context, q asks.BeginOAuth) (asks.OAuthBegun, error) {
	flow := oauthFlow{User: q.UserID, AccountID: q.AccountID, Confirmed: q.Confirmed, Page: q.Page, As: q.SignedInAs}
	if flow.User == "" {
		holder, err := s.redeem(ctx, q.Ticket, asks.TicketConnect)
		if err != nil {
			return asks.OAuthBegun{}, err
		}
		flow.User, flow.As = holder.User, holder.As
	}
	if q.AccountID != "" {
		if _, err := accounts.Own(ctx, s.db, flow.User, q.AccountID); err != nil {
			return asks.OAuthBegun{}, err
		}
	}
	state, cookie := newSecret(), newSecret()
	hash := hashOf(cookie)
	flow.CookieHash = hash[:]
	if err := s.states.put(ctx, state, flow); err != nil {
		return asks.OAuthBegun{}, err
	}
	return asks.OAuthBegun{
		AuthorizeURL: s.api.AuthorizeURLFor(s.cfg.RedirectURI, s.cfg.scopes(), state),
		Cookie:       cookie,
	}, nil
}

// redeem turns a ticket into its holder, once. One that is shown where it is not for stays good where it is for.
func (s *Service) redeem(ctx context.Context, ticket string, purpose asks.TicketPurpose) (ticketHolder, error) {
	if ticket == "" {
		return ticketHolder{}, errNobody
	}
	found, err := s.tickets.find(ctx, ticket)
	if err == nil && found.Value.Purpose != "" && found.Value.Purpose != purpose {
		const other = "This ticket is for something else; ask for one with the purpose that you need."
		return ticketHolder{}, events.Faultf(events.Unauthorized, other).At("/ticket", "ticket_invalid", other)
	}
	if err == nil {
		err = s.tickets.consume(ctx, found)
	}
	if errors.Is(err, errSpent) {
		const stale = "This link was used before or is too old; please start again from where you came."
		return ticketHolder{}, events.Faultf(events.Unauthorized, stale).At("/ticket", "ticket_invalid", stale)
	}
	if err != nil {
		return ticketHolder{}, err
	}
	return found.Value, nil
}

var errNobody = events.Faultf(events.Unauthorized, "Please sign in first.")
