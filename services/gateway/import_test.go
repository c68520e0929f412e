package gateway_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// inUTF16 is a text as Excel saves "Unicode Text".
func inUTF16(order binary.AppendByteOrder, text string) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune("\ufeff" + text)) {
		b = order.AppendUint16(b, unit)
	}
	return string(b)
}

// TestImportAsSpreadsheetsWriteIt holds what Excel, Numbers, LibreOffice and Google Sheets make of a table of posts, and what
// hands make of it after that.
func TestImportAsSpreadsheetsWriteIt(t *testing.T) {
	t.Parallel()
	w := newEnv(t)
	const at, csv, lines = "2027-07-01T10:00:00Z", "text/csv", "application/x-ndjson"
	const accepted = "valid"
	for name, c := range map[string]struct {
		kind, file string
		rows       []string // the errors of each, or that it is accepted
		says       []string // in the answer
	}{
		"semicolons":                  {csv, "text;scheduledAt\none, two;" + at + "\n", []string{accepted}, nil},
		"tabs":                        {csv, "text\tscheduledAt\none, two\t" + at + "\n", []string{accepted}, nil},
		"tabs, and said so":           {"text/tab-separated-values", "scheduledAt\ttext\n" + at + "\tone;two\n", []string{accepted}, nil},
		"the first line of Excel":     {csv, "sep=;\r\ntext;scheduledAt\r\nx;" + at + "\r\n", []string{accepted}, []string{`"line":3`}},
		"Excel of Windows":            {"application/vnd.ms-excel", "\ufefftext;scheduledAt\r\n\"a\nb\";" + at + "\r\n", []string{accepted}, nil},
		"Excel of a Mac":              {csv, "text;scheduledAt\rx;" + at + "\ry;" + at + "\r", []string{accepted, accepted}, nil},
		"Unicode Text of Excel":       {csv, inUTF16(binary.LittleEndian, "text\tscheduledAt\r\ngrüße 👋\t"+at+"\r\n"), []string{accepted}, nil},
		"UTF-16, the other way round": {csv + "; charset=utf-16", inUTF16(binary.BigEndian, "text,scheduledAt\nx,"+at+"\n"), []string{accepted}, nil},
		"empty rows, and where they are": {csv, "\n,,\ntext,scheduledAt,\n\n,,\n\"a\n\nb\"," + at + ",\n , ,\ny,never,\n",
			[]string{accepted, "/scheduledAt time_invalid"}, []string{`"row":1,"line":6`, `"row":2,"line":10`}},
		"empty columns":              {csv, "text,,scheduledAt,,\nx,," + at + ",,\ny,," + at + "\n", []string{accepted, accepted}, nil},
		"a value in an empty column": {csv, "text,,scheduledAt\nx,oh," + at + "\ny,," + at + "\n", []string{"/1 value_without_column", accepted}, []string{"number 2"}},
		"rows that end early":        {csv, "text,scheduledAt,timeZone,ghost\nx," + at + "\ny\n", []string{accepted, "/scheduledAt missing"}, nil},
		"a row that goes on":         {csv, "text,scheduledAt\nx," + at + "\none, two," + at + "\nz," + at + "\n", []string{accepted, "/2 value_without_column", accepted}, nil},
		"spaces around":              {csv, " text , scheduledAt ,ghost\nx, " + at + " , FALSE\n", []string{accepted}, nil},
		"a time as it is shown":      {csv, "text,scheduledAt,timeZone\nx,2027-07-01 09:00:00,Europe/Berlin\ny,2027-07-01 09:00,\n", []string{accepted, "/scheduledAt time_without_offset"}, nil},
		"a torn quotation mark":      {csv, "text,scheduledAt\na," + at + "\n\"b," + at + "\n\"c\nd\"," + at + "\n", []string{accepted, " not_csv", accepted}, []string{"line 3"}},
		"one at the end":             {csv, "text,scheduledAt\na," + at + "\n\"b," + at + "\n", []string{accepted, " not_csv"}, nil},
		"one amid a value":           {csv, "text,scheduledAt\nsay \"hi\"," + at + "\nb," + at + "\n", []string{" not_csv", accepted}, []string{"line 2"}},
		"a row in another code":      {csv, "text,scheduledAt\ngr\xfc\xdfe," + at + "\nb," + at + "\n", []string{" not_utf8", accepted}, nil},
		"values of other kinds":      {csv, "text,scheduledAt,fold,ghost\nx," + at + ",one,perhaps\ny," + at + ",2,\n", []string{"/fold wrong_type,/ghost wrong_type", "/fold not_a_choice"}, []string{"true or false", "a whole number"}},
		"a bound":                    {csv, "text,scheduledAt\n" + strings.Repeat("x", 501) + "," + at + "\nb," + at + "\n", []string{"/text text_too_long", accepted}, []string{"501", "500"}},
		"lines with a mark before":   {lines, "\ufeff" + `{"text":"x","scheduledAt":"` + at + "\"}\r\n", []string{accepted}, nil},
		"lines in UTF-16":            {lines, inUTF16(binary.LittleEndian, `{"text":"x","scheduledAt":"`+at+"\"}\n"), []string{accepted}, nil},
		"lines of several kinds": {lines, `{"text":"x"}` + "\n" + `{"Text":"x","scheduled_at":"` + at + `"}` + "\n" + `{"text":"x","scheduledAt":"` + at + `","ghost":"no","media":[{"type":"film","url":"x"}]}` +
			"\n[]\n" + "{\"text\":\"a\xff\"}\n" + `{"text":"a","text":"b"}` + "\n\n" + `{"text":"x","scheduledAt":"` + at + `"}`,
			[]string{
				"/scheduledAt missing", "/scheduledAt missing,/Text unknown_field,/scheduled_at unknown_field", "/ghost wrong_type,/media/0/type not_a_choice", " wrong_type", " not_utf8",
				" name_twice", accepted,
			},
			[]string{`scheduledAt is.`, `text is.`, `"line":8`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := w.do(t, http.MethodPost, "/api/threads/post/import?preview=true", c.file, "Content-Type", c.kind)
			var got imported
			r.is(t, http.StatusOK, &got)
			if len(got.Rows) != len(c.rows) {
				t.Fatalf("%d rows, want %d: %s", len(got.Rows), len(c.rows), r.body)
			}
			for i, want := range c.rows {
				row := got.Rows[i]
				said := strings.Join(sorted(codes(row.Errors)), ",")
				if row.Row != i+1 || (want == accepted) != (row.Status == accepted) || want != accepted && said != strings.Join(sorted(strings.Split(want, ",")), ",") {
					t.Errorf("row %d is %s %q, want %s: %s", i+1, row.Status, said, want, r.body)
				}
			}
			for _, words := range c.says {
				if !bytes.Contains(r.body, []byte(words)) {
					t.Errorf("it does not say %q: %s", words, r.body)
				}
			}
		})
	}

	for name, c := range map[string]struct {
		kind, file, code string
		pointers, says   []string
	}{
		"an unknown column, and the one that is meant": {csv, "text;scheduled_at;colour\nx;y;z\n", "unknown_column", []string{"/1", "/2"}, []string{"scheduled_at", "scheduledAt is", "colour", "publishWithin"}},
		"a column in the wrong case":                   {csv, "Text,scheduledAt\nx,y\n", "unknown_column", []string{"/0"}, []string{"text is"}},
		"a column twice":                               {csv, "text,scheduledAt,text\nx,y,z\n", "repeated_column", []string{"/2"}, []string{"text", "1 and 3"}},
		"nothing":                                      {csv, "", "", nil, nil},
		"blanks":                                       {csv, "\ufeff \n\n", "empty_file", []string{""}, []string{"empty"}},
		"commas and no more":                           {csv, ",,\n,,\n", "empty_file", []string{""}, []string{"empty"}},
		"a header alone":                               {csv, "text;scheduledAt\n;\n", "row_count", []string{""}, []string{"no post", "500"}},
		"too many rows":                                {csv, "text\n" + strings.Repeat("x\n", 501), "row_count", []string{""}, []string{"more than 500"}},
		"half a pair of UTF-16":                        {csv, inUTF16(binary.LittleEndian, "text\nx\n") + "\x3d\xd8", "not_utf16", []string{""}, nil},
		"UTF-16 without a mark":                        {csv, inUTF16(binary.LittleEndian, "text\nx\n")[2:], "not_utf8", []string{""}, nil},
		"no row in UTF-8":                              {csv, "text\n\xfc\n\xdf\n", "not_utf8", []string{""}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := w.do(t, http.MethodPost, "/api/threads/post/import", c.file, "Content-Type", c.kind)
			if c.code == "" {
				r.problem(t, http.StatusBadRequest, "unreadable")
				return
			}
			p := r.problem(t, http.StatusUnprocessableEntity, "invalid", c.pointers...)
			if p.Errors[0].Code != c.code || len(p.Errors) != len(c.pointers) {
				t.Errorf("it says %+v, want %s", p.Errors, c.code)
			}
			for _, words := range c.says {
				if !bytes.Contains(r.body, []byte(words)) {
					t.Errorf("it does not say %q: %s", words, r.body)
				}
			}
		})
	}

	t.Run("one bad row stops no other", func(t *testing.T) {
		t.Parallel()
		r := w.do(t, http.MethodPost, "/api/threads/post/import", fmt.Sprintf("text;scheduledAt\nspreadsheet one;%s\n\"torn;%s\n\xff;%s\nspreadsheet two;%s\n", at, at, at, at), "Content-Type", csv)
		var got imported
		r.is(t, http.StatusOK, &got)
		if got.Accepted != 2 || got.Refused != 2 {
			t.Errorf("%s", r.body)
		}
		n, err := w.db.NewSelect().Table("posts").Where("text LIKE 'spreadsheet %'").Count(t.Context())
		if err != nil || n != 2 {
			t.Errorf("there are %d posts, %v", n, err)
		}
	})
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}
