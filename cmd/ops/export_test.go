package ops

// InOrder is inOrder, of entries of which it is said what began a command and which request led to what.
func InOrder(entries []Entry, begins map[int]bool, requests map[int]string) []Entry {
	for i := range entries {
		entries[i].begins, entries[i].request = begins[i], requests[i]
	}
	return inOrder(entries)
}
