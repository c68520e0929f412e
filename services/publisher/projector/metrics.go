package projector

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

var eventsSkipped = promauto.NewCounter(prometheus.CounterOpts{
	Name: "threads_facts_set_aside_total",
	Help: "Facts on EVENTS that this process could not read or write to Postgres, as those of a newer version. They stay on EVENTS; rebuild finds them.",
})
