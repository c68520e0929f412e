package draft

import (
	"fmt"

	"github.com/omni-write/threads/events"
)

// maxDetails is how many field errors a refusal names: tens of thousands of them would not fit into a message.
const maxDetails = 100

// FieldErrors is a fault that has details, or nil when it has none. A single detail gives the fault its sentence.
func FieldErrors(f *events.Fault) *events.Fault {
	if len(f.Details) == 0 {
		return nil
	}
	if len(f.Details) == 1 {
		f.Message = f.Details[0].Message
	}
	return limitDetails(f)
}

// limitDetails keeps the first details of a fault, and says how many there are besides.
func limitDetails(f *events.Fault) *events.Fault {
	if more := len(f.Details) - maxDetails; more > 0 {
		f.Details = f.Details[:maxDetails:maxDetails]
		f.At("", "and_more", fmt.Sprintf("There are %d more like these; mend these first.", more))
	}
	return f
}
