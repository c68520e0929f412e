package asks

// GetCommand asks publisher how a command ended. Answer: Outcome.
type GetCommand struct {
	UserID string `json:"userId"`
	ID     string `json:"id"`
	// Key and BodyHash, when given, also find out that the key was used for another request.
	Key      string `json:"key,omitempty"`
	BodyHash string `json:"bodyHash,omitempty"`
}

// Subject is threads.ask.command.get.
func (GetCommand) Subject() string { return ask("command", "get") }
