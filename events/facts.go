package events

import "strings"

// FactsOf are the subjects of every event about these accounts and their posts.
func FactsOf(accounts ...string) []string {
	subjects := make([]string, 0, 2*len(accounts))
	for _, account := range accounts {
		subjects = append(subjects, postFact(account, "*", ">"), accountFact(account, ">"))
	}
	return subjects
}

// AccountOf is the account that an event's subject names; empty where the subject is none of an event's.
func AccountOf(subject string) string {
	words := strings.Split(subject, ".")
	if len(words) < 5 || words[0] != prefix || words[1] != "evt" {
		return ""
	}
	return words[3]
}

// NameOf is a type's name without its version: post.published of post.published.v1.
func NameOf(typ string) string {
	at := strings.LastIndex(typ, ".v")
	if at < 0 {
		return typ
	}
	return typ[:at]
}

// FactNames are the names of every event that can be emitted, in the order of All.
func FactNames() []string {
	var names []string
	for _, msg := range All() {
		if _, ok := msg.(Event); ok {
			names = append(names, NameOf(msg.Type()))
		}
	}
	return names
}

// MatchFacts are the names of events that a word stands for: itself, or every name that ends in it. None means that there
// is no such event.
func MatchFacts(word string) (names []string) {
	for _, name := range FactNames() {
		if name == word || word != "" && strings.HasSuffix(name, "."+word) {
			names = append(names, name)
		}
	}
	return names
}
