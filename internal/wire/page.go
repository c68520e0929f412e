package wire

import "fmt"

// PageBytes is how much the items of one page may have together: half of what NATS carries in a message.
const PageBytes = 512 << 10

// Fit is how many of the items, from the first on, fit into a page of so many bytes. The first always does, so that a
// list goes on behind it.
func Fit[T any](items []T, most int) (int, error) {
	sum := 0
	for i, item := range items {
		b, err := Encode(item)
		if err != nil {
			return 0, fmt.Errorf("measure a page: %w", err)
		}
		if sum += len(b) + 1; sum > most && i > 0 {
			return i, nil
		}
	}
	return len(items), nil
}
