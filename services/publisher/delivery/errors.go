package delivery

import "errors"

// errLeaseOver stops a publish call at the last moment: somebody else may be asking already.
var errLeaseOver = errors.New("the lease is over")
