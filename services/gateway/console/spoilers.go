package console

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/omni-write/threads/events"
)

// piece is a stretch of a text. Hidden ones are covered on Threads until somebody taps them.
type piece struct {
	Text   string
	Hidden bool
}

const mark = "||"

// piecesOf reads a part as it was typed: what is between two || is hidden. The first and every second piece are not. A
// backslash before a bar means the bar itself, and before such a backslash the backslash itself; a single bar, three or more
// in a row, and a || without a partner are what they look like. count.js reads it in the same way.
func piecesOf(typed string) []piece {
	var texts []string
	var b strings.Builder
	for rest := typed; rest != ""; {
		after := strings.TrimLeft(rest, `\`)
		if slashes := len(rest) - len(after); slashes > 0 {
			if !strings.HasPrefix(after, "|") {
				b.WriteString(rest[:slashes])
			} else {
				b.WriteString(rest[:slashes/2])
				if slashes%2 == 1 {
					b.WriteByte('|')
					after = after[1:]
				}
			}
			rest = after
			continue
		}
		after = strings.TrimLeft(rest, "|")
		switch bars := len(rest) - len(after); bars {
		case len(mark):
			texts = append(texts, b.String())
			b.Reset()
		case 0:
			end := strings.IndexAny(rest, `\|`)
			if end < 0 {
				end = len(rest)
			}
			b.WriteString(rest[:end])
			after = rest[end:]
		default:
			b.WriteString(rest[:bars])
		}
		rest = after
	}
	if last := len(texts) - 1; len(texts)%2 == 1 {
		texts[last] += mark + b.String()
	} else {
		texts = append(texts, b.String())
	}
	pieces := make([]piece, len(texts))
	for i, text := range texts {
		pieces[i] = piece{text, i%2 == 1}
	}
	return pieces
}

// hiding is a part as the API takes it: the text, and which stretches of it are hidden.
func hiding(typed string) (text string, hidden []events.TextRange) {
	at := 0
	for _, p := range piecesOf(typed) {
		n := utf8.RuneCountInString(p.Text)
		if p.Hidden {
			hidden = append(hidden, events.TextRange{Offset: at, Length: n})
		}
		at += n
		text += p.Text
	}
	return text, hidden
}

// piecesIn cuts a text into its pieces, in the order that piecesOf has. Stretches that touch become one.
func piecesIn(text string, hidden []events.TextRange) []piece {
	runes := []rune(text)
	pieces := []piece{{}}
	at := 0
	for _, r := range slices.SortedFunc(slices.Values(hidden), func(a, b events.TextRange) int { return a.Offset - b.Offset }) {
		start := min(max(r.Offset, at), len(runes))
		stretch := string(runes[start : start+min(max(r.Length, 0), len(runes)-start)])
		last := &pieces[len(pieces)-1]
		switch {
		case stretch == "":
			continue
		case last.Hidden && start == at:
			last.Text += stretch
		default:
			if last.Hidden {
				pieces = append(pieces, piece{})
				last = &pieces[len(pieces)-1]
			}
			last.Text += string(runes[at:start])
			pieces = append(pieces, piece{stretch, true})
		}
		at = start + utf8.RuneCountInString(stretch)
	}
	if pieces[len(pieces)-1].Hidden {
		pieces = append(pieces, piece{})
	}
	pieces[len(pieces)-1].Text += string(runes[at:])
	return pieces
}

// typedAs writes a text as a person would have typed it, so that piecesOf reads the same again.
func typedAs(text string, hidden []events.TextRange) string {
	pieces := piecesIn(text, hidden)
	if read := piecesOf(text); len(pieces) == 1 && len(read) == 1 && read[0].Text == text {
		return text
	}
	var b strings.Builder
	for i, p := range pieces {
		if i > 0 {
			b.WriteString(mark)
		}
		escape(&b, p.Text, i > 0, i < len(pieces)-1)
	}
	return b.String()
}

// escape writes a piece between marks, or not, with a backslash before what would be read as one.
func escape(b *strings.Builder, text string, before, after bool) {
	for i := 0; i < len(text); {
		rest := text[i:]
		slashes := len(rest) - len(strings.TrimLeft(rest, `\`))
		bars := len(rest) - len(strings.TrimLeft(rest, "|"))
		end := i + max(slashes, bars, 1)
		touches := before && i == 0 || after && end == len(text)
		switch {
		case bars == len(mark), bars > 0 && touches:
			b.WriteString(strings.Repeat(`\|`, bars))
		case slashes > 0 && (strings.HasPrefix(text[end:], "|") || after && end == len(text)):
			b.WriteString(strings.Repeat(`\`, 2*slashes))
		default:
			b.WriteString(text[i:end])
		}
		i = end
	}
}
