package events

// AccountPaused: those who run the system hold the account's posts back. They are prepared, and none is published until
// AccountResumed; the time in which a post may be late runs on. The connection says since when, and why.
type AccountPaused struct{ accountEvent }

// AccountResumed: the account's posts go out again. Those that waited are due at once.
type AccountResumed struct{ accountEvent }

// NewAccountPaused makes the event from the row after it.
func NewAccountPaused(c Connection) AccountPaused { return AccountPaused{accountEvent{c}} }

// NewAccountResumed makes the event from the row after it.
func NewAccountResumed(c Connection) AccountResumed { return AccountResumed{accountEvent{c}} }

const (
	factPaused  = "paused"
	factResumed = "resumed"
)

// Type is the wire name.
func (AccountPaused) Type() string { return "account.paused.v1" }

// Type is the wire name.
func (AccountResumed) Type() string { return "account.resumed.v1" }

// Subject is threads.evt.account.<account>.paused.
func (e AccountPaused) Subject() string { return accountFact(e.Connection.ID, factPaused) }

// Subject is threads.evt.account.<account>.resumed.
func (e AccountResumed) Subject() string { return accountFact(e.Connection.ID, factResumed) }

// EventID is the same for the same account, rev and fact.
func (e AccountPaused) EventID() string { return e.id(factPaused) }

// EventID is the same for the same account, rev and fact.
func (e AccountResumed) EventID() string { return e.id(factResumed) }
