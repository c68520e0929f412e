package delivery_test

import (
	"github.com/omni-write/threads/internal/bus"
	"github.com/omni-write/threads/services/publisher"
)

// useBus has a publisher speak through another connection to NATS.
func useBus(s *publisher.Service, b *bus.Bus) {
	s.Projector.Bus = b
	s.Delivery.UseBus(b)
}
