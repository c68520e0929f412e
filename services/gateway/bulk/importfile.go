package bulk

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/text/encoding/unicode"

	"github.com/omni-write/threads/events"
	"github.com/omni-write/threads/services/gateway/edge"
)

const (
	TypeCSV   = "text/csv"
	TypeTSV   = "text/tab-separated-values"
	TypeLines = "application/x-ndjson"
)

// Media types under which the same files are sent: browsers on Windows say vnd.ms-excel of a CSV.
var (
	typesOfCSV   = []string{TypeCSV, TypeTSV, "application/csv", "text/comma-separated-values", "application/vnd.ms-excel"}
	typesOfLines = []string{TypeLines, "application/jsonl", "application/x-jsonlines"}
)

// readRows reads the posts of a file. What cannot be read of one row is that row's fault.
func readRows(contentType string, body []byte) (rows []row, err error) {
	kind, params, err := mime.ParseMediaType(contentType)
	charset := strings.ToLower(params["charset"])
	isCSV, isLines := slices.Contains(typesOfCSV, kind), slices.Contains(typesOfLines, kind)
	if err != nil || !isCSV && !isLines || !slices.Contains([]string{"", "utf-8", "utf8", "utf-16", "utf-16le", "utf-16be"}, charset) {
		return nil, edge.NewProblem(http.StatusUnsupportedMediaType, "unsupported_media_type", "This content type is not taken here",
			"Send the posts as text/csv or as application/x-ndjson, in UTF-8.")
	}
	text, err := decodeText(body, charset)
	switch {
	case err != nil:
	case len(bytes.TrimSpace(text)) == 0:
		err = emptyFile()
	case isCSV:
		rows, err = readCSV(text, kind)
	default:
		rows = readLines(text)
	}
	switch {
	case err != nil:
		return nil, err
	case len(rows) == 0:
		return nil, fileFault("row_count", fmt.Sprintf("The file has a header line and no post; a file has 1 to %d posts.", maxRows))
	case len(rows) > maxRows:
		return nil, fileFault("row_count", fmt.Sprintf("The file has more than %d posts; a file has 1 to %d.", maxRows, maxRows))
	}
	return rows, nil
}

func emptyFile() error { return fileFault("empty_file", "The file is empty; put a post on each line.") }

func fileFault(code, words string) error {
	return events.Faultf(events.Invalid, "%s", words).At("", code, words)
}

// decodeText makes UTF-8 of a file. A byte order mark has the last word on how it is encoded: Excel's "Unicode Text" is
// UTF-16, and who uploads it rarely knows.
func decodeText(body []byte, charset string) ([]byte, error) {
	byteOrder := unicode.LittleEndian // as the WHATWG's Encoding Standard reads utf-16
	switch {
	case bytes.HasPrefix(body, []byte("\xef\xbb\xbf")):
		return body[3:], nil
	case bytes.HasPrefix(body, []byte("\xff\xfe")):
		body = body[2:]
	case bytes.HasPrefix(body, []byte("\xfe\xff")):
		byteOrder, body = unicode.BigEndian, body[2:]
	case charset == "utf-16be":
		byteOrder = unicode.BigEndian
	case !strings.HasPrefix(charset, "utf-16"):
		return body, nil
	}
	coding := unicode.UTF16(byteOrder, unicode.IgnoreBOM)
	text, err := coding.NewDecoder().Bytes(body)
	if err == nil { // the decoder puts U+FFFD where there is half a surrogate pair
		var again []byte
		if again, err = coding.NewEncoder().Bytes(text); err == nil && !bytes.Equal(again, body) {
			err = errors.New("half of a surrogate pair")
		}
	}
	if err != nil {
		return nil, fileFault("not_utf16", "The file begins as UTF-16 text and is not well-formed; save it as UTF-8.")
	}
	return text, nil
}
