package events

import "strings"

// EveryCommand covers every subject of COMMANDS.
const EveryCommand = prefix + ".cmd.>"

// SchemaOf is where the JSON Schema of a message type is: the ce-dataschema of its messages. The file is in schemas/ too.
func SchemaOf(typ string) string {
	return "https://github.com/omni-write/threads/blob/main/events/schemas/" + typ + ".json"
}

// AboutOf is what a message is about, its ce-subject: the post, or else the account. Empty where the message does not know.
func AboutOf(msg Message) string {
	switch m := msg.(type) {
	case PostEvent:
		return m.Snapshot().ID
	case Event: // threads.evt.account.<account>.<fact>
		if words := strings.Split(m.Subject(), "."); len(words) > 3 {
			return words[3]
		}
	case SchedulePost:
		return m.PostID
	case PublishPost:
		return m.PostID
	case EditPost:
		return m.PostID
	case CancelPost:
		return m.PostID
	case RetryPost:
		return m.PostID
	case ResolvePost:
		return m.PostID
	case DeletePost:
		return m.ID
	case Disconnect:
		return m.AccountID
	case RefreshToken:
		return m.AccountID
	}
	return ""
}
