package delivery

// end is how a step of a post ended that did not fail. Beside an error it says nothing.
type end int

const (
	goesOn   end = iota // nothing has ended the step
	moved               // the row was moved; what it says now may be due
	respaced            // posts of its account were given other times, and it may be among them
	snoozed             // the row was moved, and the wake-up is set to when it says, or that has failed: it stands beside an error too
	later               // it is looked at again later, and nothing is to be done until then
	final               // the post has come to its end, and need not be read again to know that nothing is due
)
