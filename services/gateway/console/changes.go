package console

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/omni-write/threads/internal/asks"
)

// changed does what a button within the editor asks for, and says whether there was one: the form is then shown again, and
// neither checked nor sent.
func (v *visit) changed(d *composeData, do string) bool {
	word, number, _ := strings.Cut(do, "-")
	i, err := strconv.Atoi(number)
	if err != nil {
		i = -1
	}
	switch word {
	case "preview", "restore":
	case "places":
		v.findPlaces(d)
	case "part":
		d.Text = strings.TrimRight(d.Text, "\n") + "\n---\n"
	case "split":
		d.split()
	case "earlier":
		d.swapParts(i-1, i)
	case "later":
		d.swapParts(i, i+1)
	case "add":
		d.Empty = 1
	case "up":
		d.swapMedia(i-1, i)
	case "down":
		d.swapMedia(i, i+1)
	case "drop":
		if i >= 0 && i < len(d.Media) {
			d.Media = slices.Delete(d.Media, i, i+1)
		}
	default:
		return false
	}
	return true
}

func (d *draft) swapMedia(i, j int) {
	if i >= 0 && j < len(d.Media) {
		d.Media[i], d.Media[j] = d.Media[j], d.Media[i]
	}
}

// swapParts changes the order of two parts. Their media go with them.
func (d *draft) swapParts(i, j int) {
	parts := partsOf(d.Text)
	if i < 0 || j >= len(parts) {
		return
	}
	parts[i], parts[j] = parts[j], parts[i]
	d.Text = strings.Join(parts, divided)
	for at, m := range d.Media {
		switch m.Part {
		case strconv.Itoa(i + 1):
			d.Media[at].Part = strconv.Itoa(j + 1)
		case strconv.Itoa(j + 1):
			d.Media[at].Part = strconv.Itoa(i + 1)
		}
	}
}

// split cuts the parts that are too long. The media of what comes after them stay with it.
func (d *draft) split() {
	var parts []string
	moved := map[string]string{}
	for i, part := range partsOf(d.Text) {
		moved[strconv.Itoa(i+1)] = strconv.Itoa(len(parts) + 1)
		if cut := splitText(part); len(cut) > 0 {
			parts = append(parts, cut...)
		} else {
			parts = append(parts, "")
		}
	}
	d.Text = strings.Join(parts, divided)
	for i, m := range d.Media {
		d.Media[i].Part = cmp.Or(moved[m.Part], m.Part)
	}
}

// findPlaces looks for places of a name. A number is the id of one, which Threads' search need not know.
func (v *visit) findPlaces(d *composeData) {
	switch {
	case d.PlaceQuery == "":
		d.PlaceProblem = "Write a name to look for."
	case strings.Trim(d.PlaceQuery, "0123456789") == "":
		d.Places = []asks.Location{{ID: d.PlaceQuery}}
	default:
		var found asks.LocationList
		err := v.do(http.MethodGet, "/api/threads/locations?accountId="+url.QueryEscape(d.Account)+"&q="+url.QueryEscape(d.PlaceQuery), nil, &found)
		if d.Places = found.Items; err != nil {
			d.PlaceProblem = detailOf(err)
		} else if len(found.Items) == 0 {
			d.PlaceProblem = "Threads knows no place of this name."
		}
	}
	d.Places = slices.DeleteFunc(d.Places, func(l asks.Location) bool { return l.ID == d.Location })
}

// placeWords is a place in one line.
func placeWords(l asks.Location) string {
	words := []string{l.Name, l.Address, l.City, l.Country}
	words = slices.DeleteFunc(words, func(word string) bool { return strings.TrimSpace(word) == "" })
	return strings.Join(words, ", ")
}
