package bulk

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/services/gateway/edge"
	"github.com/omni-write/threads/services/gateway/posts"
)

// column is what a column takes.
type column struct {
	takes string
	read  func(value string) (any, error)
}

var (
	words   = column{"text", func(v string) (any, error) { return v, nil }}
	instant = column{"a time", func(v string) (any, error) { return spacedTime.ReplaceAllString(v, "${1}T$2"), nil }}
	number  = column{"a whole number", func(v string) (any, error) { return strconv.Atoi(v) }}
	boolean = column{"true or false", func(v string) (any, error) { return strconv.ParseBool(v) }}
)

// spacedTime is a time as spreadsheets show it, with a space where RFC 3339 has a T, which it says to be as good.
var spacedTime = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2}) (\d{2}:)`)

// columns are what a CSV may have; the header line names them, in any order.
var columns = map[string]column{
	"text": words, "scheduledAt": instant, "timeZone": words, "fold": number, "mediaUrl": words, "accountId": words,
	"replyTo": words, "quotePostId": words, "topicTag": words, "linkAttachment": words, "replyControl": words,
	"location": words, "ghost": boolean, "spoilerMedia": boolean, "publishWithin": number,
}

// ColumnNames are the columns that a CSV may have.
func ColumnNames() string { return strings.Join(slices.Sorted(maps.Keys(columns)), ", ") }

// readCSV reads a file as spreadsheets write it: with commas, semicolons or tabs, as their users' language has it; with
// empty rows, rows that end early, and columns without a name and without a value.
func readCSV(text []byte, kind string) (rows []row, err error) {
	text, skipped, comma := dialect(text, kind)
	var header []string
	unreadable := 0
	for rec := range records(text, comma) {
		rec.line += skipped
		switch {
		case rec.blank():
		case header == nil && rec.err != nil:
			return nil, rec.err
		case header == nil:
			if header, err = readHeader(rec.values); err != nil {
				return nil, err
			}
		case len(rows) > maxRows:
			return rows, nil // too many already
		default:
			r := row{line: rec.line, err: rec.err}
			if r.err != nil {
				unreadable++
			} else {
				r.post, r.err = postOf(header, rec.values)
			}
			rows = append(rows, r)
		}
	}
	if header == nil {
		return nil, emptyFile()
	}
	if unreadable > 0 && unreadable == len(rows) {
		return nil, rows[0].err // then it is the file, and not a row
	}
	return rows, nil
}

// dialect finds out what stands between the values: what the first line of Excel's says (sep=;), or whatever makes the
// most known columns of the header.
func dialect(text []byte, kind string) (rest []byte, skipped int, comma rune) {
	if !bytes.ContainsRune(text, '\n') {
		text = bytes.ReplaceAll(text, []byte{'\r'}, []byte{'\n'}) // "CSV (Macintosh)"
	}
	first, rest, _ := bytes.Cut(text, []byte{'\n'})
	first = bytes.Trim(bytes.TrimRight(first, "\r"), `"`)
	if len(first) == len("sep=;") && bytes.EqualFold(first[:4], []byte("sep=")) && strings.ContainsRune(",;\t|", rune(first[4])) {
		return rest, 1, rune(first[4])
	}
	if kind == TypeTSV {
		return text, 0, '\t'
	}
	best := -1
	for _, candidate := range ",;\t" {
		for rec := range records(text, candidate) {
			known := 0
			for _, name := range rec.values {
				if _, is := columns[strings.TrimSpace(name)]; is {
					known++
				}
			}
			if score := known<<16 + len(rec.values); score > best {
				best, comma = score, candidate
			}
			if !rec.blank() {
				break
			}
		}
	}
	return text, 0, comma
}

// record is a row of the file as it stands there.
type record struct {
	line   int
	values []string
	err    error // it is not well-formed
}

// blank says that there is nothing in it; spreadsheets write such where something once was.
func (r record) blank() bool {
	return r.err == nil && !slices.ContainsFunc(r.values, func(v string) bool { return strings.TrimSpace(v) != "" })
}

// records reads a file record by record. One that is not well-formed ends with its line, whatever its quotation marks
// seem to take in: the next begins on the line after.
func records(text []byte, comma rune) iter.Seq[record] {
	return func(yield func(record) bool) {
		before := 0 // lines that are behind us
		for {
			r := csv.NewReader(bytes.NewReader(text))
			r.Comma, r.FieldsPerRecord = comma, -1
			values, err := r.Read()
			for ; err == nil; values, err = r.Read() {
				at, _ := r.FieldPos(0)
				rec := record{line: before + at, values: values}
				if !edge.Storable(strings.Join(values, "")) {
					rec.err = fileFault("not_utf8", fmt.Sprintf("Line %d is not UTF-8 text; save the file as UTF-8.", rec.line))
				}
				if !yield(rec) {
					return
				}
			}
			var torn *csv.ParseError
			if !errors.As(err, &torn) {
				return // the end
			}
			if !yield(record{line: before + torn.StartLine, err: notCSV(before, torn)}) {
				return
			}
			for range torn.StartLine {
				_, text, _ = bytes.Cut(text, []byte{'\n'})
			}
			before += torn.StartLine
		}
	}
}

func notCSV(before int, torn *csv.ParseError) error {
	at := fmt.Sprintf("line %d, character %d", before+torn.Line, torn.Column)
	if errors.Is(torn, csv.ErrBareQuote) {
		return fileFault("not_csv", "There is a quotation mark within a value that is not in quotation marks, at "+at+
			"; put the value in quotation marks, and write its own ones twice.")
	}
	return fileFault("not_csv", fmt.Sprintf("The value in quotation marks of the row that begins at line %d does not end where it should, at %s; "+
		"close it, and write its own quotation marks twice.", before+torn.StartLine, at))
}

// readHeader says which column is which. One without a name is none, as long as it has no values.
func readHeader(names []string) (header []string, err error) {
	f := events.Faultf(events.Invalid, "The header line cannot be used; see the errors.")
	first := map[string]int{}
	for i, name := range names {
		if len(f.Details) == edge.MaxFieldErrors {
			break
		}
		name = strings.TrimSpace(name)
		header = append(header, name)
		at, earlier := "/"+strconv.Itoa(i), first[name]
		switch _, known := columns[name]; {
		case name == "":
		case !known:
			f.At(at, "unknown_column", unknownColumn(name))
		case earlier > 0:
			f.At(at, "repeated_column", fmt.Sprintf("The column %s is there twice, as number %d and %d; keep one.", name, earlier, i+1))
		default:
			first[name] = i + 1
		}
	}
	if len(f.Details) > 0 {
		f.Message = f.Details[0].Message
		return nil, f
	}
	return header, nil
}

func unknownColumn(name string) string {
	words := fmt.Sprintf("The column %s is not known here", shortened(name))
	if near := edge.Nearest(name, slices.Collect(maps.Keys(columns))); near != "" {
		return words + "; " + near + " is."
	}
	return words + "; take it out, or name it as one of: " + ColumnNames() + "."
}

// shortened is a name as a sentence can hold it.
func shortened(name string) string {
	const most = 40
	if utf8.RuneCountInString(name) > most {
		name = string([]rune(name)[:most]) + "…"
	}
	return strconv.Quote(name)
}

// postOf is the post of a row. Its values become the JSON of a line, so that both are held to the same.
func postOf(header, values []string) (post posts.ScheduledDraft, err error) {
	fields := map[string]any{}
	var errs []edge.Flaw
	for i, value := range values {
		if len(errs) == edge.MaxFieldErrors {
			break
		}
		name := ""
		if i < len(header) {
			name = header[i]
		}
		switch value := strings.TrimSpace(value); {
		case value == "": // left out
			continue
		case name == "":
			errs = append(errs, edge.Flaw{Pointer: "/" + strconv.Itoa(i), Code: "value_without_column", Detail: fmt.Sprintf(
				"The row has a value as number %d, where the header line names no column; put a text that has separators in it in quotation marks.", i+1)})
			continue
		}
		if name != "text" {
			value = strings.TrimSpace(value)
		}
		if fields[name], err = columns[name].read(value); err != nil {
			errs = append(errs, edge.Flaw{
				Pointer: "/" + name, Code: "wrong_type", Detail: "The column " + name + " takes " + columns[name].takes + ", and this is something else.",
			})
		}
	}
	if len(errs) > 0 {
		return post, fieldErrorsFault(errs)
	}
	line, err := json.Marshal(fields)
	if err != nil {
		return post, fmt.Errorf("encode a row: %w", err)
	}
	return readPost(line)
}
