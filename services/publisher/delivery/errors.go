package delivery

import "errors"

// errLeaseOver stops a publish call at the last moment: somebody else may be asking already.
var errLeaseOver = errors.New("the lease is over")

// errSnoozed says that a post is looked at again later, and nothing is to be done until then.
var errSnoozed = errors.New("the post is looked at again later")

// errDone says that a post has come to its end, and need not be read again to know that nothing is due.
var errDone = errors.New("the post is final")
