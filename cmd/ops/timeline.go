package ops

import (
	"cmp"
	"slices"
	"time"
)

// inOrder puts entries, whose events are in the order of EVENTS, in the order in which things happened. The times alone do
// not say it: they come from the clocks of several machines, and a command's two are of one transaction. So a request is
// before what it led to, a command's begin before its end and its events, and events stay in the order of their stream.
func inOrder(entries []Entry) []Entry {
	const request, begin, other = 0, 1, 2
	kinds, when := make([]int, len(entries)), make([]time.Time, len(entries))
	begins, requests := map[string]int{}, map[string]int{} // by the command's id, and by the request's
	var last time.Time
	for i, e := range entries {
		kinds[i], when[i] = other, e.At
		switch {
		case e.Source == "request":
			kinds[i], requests[e.ID] = request, i
		case e.begins:
			kinds[i], begins[e.ID] = begin, i
		case e.Source == "event":
			last = later(last, e.At)
			when[i] = last
		}
	}
	notAfter := func(i int, found bool, at time.Time) {
		if found && at.Before(when[i]) {
			when[i] = at
		}
	}
	for i, e := range entries {
		if kinds[i] != other || e.Source == "command" && e.Seq != 0 { // it lies on COMMANDS before it begins
			continue
		}
		command, found := begins[cmp.Or(e.Cause, e.ID)]
		notAfter(command, found, when[i])
	}
	for i, e := range entries {
		by, found := requests[e.request]
		notAfter(by, found, when[i])
		if command, begun := begins[e.Cause]; begun {
			notAfter(by, found, when[command])
		}
	}
	for _, i := range requests {
		entries[i].At = when[i] // it has no time of its own
	}
	order := make([]int, len(entries))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Or(when[a].Compare(when[b]), cmp.Compare(kinds[a], kinds[b])) })
	sorted := make([]Entry, len(entries))
	for to, from := range order {
		sorted[to] = entries[from]
	}
	return sorted
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
