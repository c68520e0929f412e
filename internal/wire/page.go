package wire

import "fmt"

// PageBytes is how much the items of one page may have together: half of what NATS carries in a message.
const PageBytes = 512 << 10

// Fit is how many of the items, from the first on, fit into so many bytes, and how many bytes those have. The first always
// does, so that a list goes on behind it.
func Fit[T any](items []T, most int) (n, bytes int, err error) {
	for i, item := range items {
		b, err := Encode(item)
		if err != nil {
			return 0, 0, fmt.Errorf("measure a page: %w", err)
		}
		if size := len(b) + 1; i == 0 || bytes+size <= most {
			bytes += size
		} else {
			return i, bytes, nil
		}
	}
	return len(items), bytes, nil
}
