package console

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Say is what is wrong with a field.
func (d composeData) Say(field string) []string { return d.Problems[field] }

// fields are where the API's pointers lead in the form.
var fields = []struct{ prefix, field string }{
	{"/scheduledAt", "when"}, {"/timeZone", "when"}, {"/fold", "when"}, {"/accountId", "account"}, {"/media", "media"}, {"/poll", "poll"}, {"/topicTag", "topic"},
	{"/replyControl", "reply_control"}, {"/linkAttachment", "link"}, {"/location", "location"}, {"/spoilers", "text"}, {"/spoilerMedia", "more"}, {"/ghost", "more"}, {"/replyApprovals", "more"},
	{"/text", "text"}, {"/replyTo", "text"}, {"/quotePostId", "text"},
}

var inPart = regexp.MustCompile(`^/parts/(\d+)/(text|media)`)

// place puts what is wrong beside the fields.
func place(errs []fieldError) map[string][]string {
	m := map[string][]string{}
	for _, f := range errs {
		field, words := "form", f.Detail
		if part := inPart.FindStringSubmatch(f.Pointer); part != nil {
			n, _ := strconv.Atoi(part[1])
			field, words = part[2], "Part "+strconv.Itoa(n+1)+": "+f.Detail
		} else if strings.HasPrefix(f.Pointer, "/parts") {
			field = "text"
		} else {
			for _, to := range fields {
				if strings.HasPrefix(f.Pointer, to.prefix) {
					field = to.field
					break
				}
			}
		}
		if !slices.Contains(m[field], words) {
			m[field] = append(m[field], words)
		}
	}
	return m
}

// refused puts a problem of the API into the form.
func (d *composeData) refused(v *visit, p *problem) {
	d.Problems = place(p.Errors)
	if len(d.Problems) == 0 {
		d.Problems = map[string][]string{"form": {p.words()}}
	}
	if again := v.again(p); again != "" {
		d.Problems["form"] = append(d.Problems["form"], again)
	}
}

// hiddenLater are the parts after the first that hide words, which the API has no field for.
func (d *composeData) hiddenLater() (errs []fieldError) {
	for i, typed := range partsOf(d.Text)[1:] {
		if _, hidden := hiding(typed); len(hidden) > 0 {
			errs = append(errs, fieldError{Pointer: fmt.Sprintf("/parts/%d/text", i+1), Detail: `Only the first part of a chain can hide words. Write \| for a bar that is meant.`})
		}
	}
	return errs
}
