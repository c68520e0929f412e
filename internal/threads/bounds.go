package threads

import "time"

// MaxPage is the most items that Threads gives in a page of a list.
const MaxPage = 100

// EarliestList is where Threads' lists begin; it refuses an earlier since (threads-api §1.9).
var EarliestList = time.Unix(1688540400, 0).UTC()
