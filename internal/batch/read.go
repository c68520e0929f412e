package batch

import "context"

// Read is one row on its way out of the database, together with others. A row that is missing stays empty.
type Read[T any] struct {
	id   string
	into *T
}

// Fetch reads one row together with others. Where ctx ends first there is none: the batch may still write it.
func Fetch[T any](ctx context.Context, b *Batcher[Read[T]], id string) (*T, error) {
	row := new(T)
	if err := b.Do(ctx, Read[T]{id, row}); err != nil {
		return nil, err
	}
	return row, nil
}

// IDs are the keys of the rows that are wanted.
func IDs[T any](batch []Read[T]) []string {
	ids := make([]string, len(batch))
	for i, r := range batch {
		ids[i] = r.id
	}
	return ids
}

// Give hands out the rows that were read, by their keys.
func Give[T any](batch []Read[T], byID map[string]T) []error {
	for _, r := range batch {
		*r.into = byID[r.id]
	}
	return make([]error, len(batch))
}
