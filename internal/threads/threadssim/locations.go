package threadssim

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/omni-write/threads/internal/threads"
)

// spot is a place that posts can be tagged with.
type spot struct {
	id, name, address, city, country, postal string
	latitude, longitude                      float64
}

// spots are the places of the simulated world.
var spots = []spot{
	{"610000000000000011", "Menlo Park", "", "Menlo Park", "United States", "94025", 37.4530, -122.1817},
	{"610000000000000013", "Ferry Building", "1 Ferry Building", "San Francisco", "United States", "94111", 37.7955, -122.3937},
	{"610000000000000015", "Bryant Park", "42nd Street", "New York", "United States", "10018", 40.7536, -73.9832},
	{"610000000000000017", "British Library", "96 Euston Road", "London", "United Kingdom", "NW1 2DB", 51.5300, -0.1277},
	{"610000000000000019", "Café de Flore", "172 Boulevard Saint-Germain", "Paris", "France", "75006", 48.8542, 2.3326},
	{"610000000000000021", "Tempelhofer Feld", "Tempelhofer Damm", "Berlin", "Germany", "12101", 52.4736, 13.4017},
	{"610000000000000023", "Hồ Hoàn Kiếm", "Đinh Tiên Hoàng", "Hà Nội", "Vietnam", "100000", 21.0287, 105.8524},
	{"610000000000000025", "Ueno Park", "Uenokoen", "Tokyo", "Japan", "110-0007", 35.7148, 139.7737},
	{"610000000000000027", "Parque Ibirapuera", "Avenida Pedro Álvares Cabral", "São Paulo", "Brazil", "04094-050", -23.5874, -46.6576},
	{"610000000000000029", "Uhuru Gardens", "Langata Road", "Nairobi", "Kenya", "00100", -1.3286, 36.7963},
}

var spotFields = []string{"id", "address", "name", "city", "country", "latitude", "longitude", "postal_code"}

func placeOf(id string) *spot {
	if i := slices.IndexFunc(spots, func(p spot) bool { return p.id == id }); i >= 0 {
		return &spots[i]
	}
	return nil
}

func (p *spot) values() map[string]any {
	return map[string]any{
		"id": p.id, "name": p.name, "address": p.address, "city": p.city, "country": p.country, "postal_code": p.postal,
		"latitude": p.latitude, "longitude": p.longitude,
	}
}

// nearKM is how far around a point places are found.
const nearKM = 100.0

// distance in kilometres, good enough for near or far.
func (p *spot) distance(latitude, longitude float64) float64 {
	const degree = math.Pi / 180
	x := (p.longitude - longitude) * degree * math.Cos((p.latitude+latitude)/2*degree)
	y := (p.latitude - latitude) * degree
	return 6371 * math.Hypot(x, y)
}

// locationSearch finds places by their name, their city or country, and near a point. The guide calls the text q, the
// reference query.
func locationSearch(c *call) answer {
	words := c.params.Get("q")
	if words == "" {
		words = c.params.Get("query")
	}
	latitude, hasLatitude, badLatitude := coordinate(c.params.Get("latitude"), 90)
	longitude, hasLongitude, badLongitude := coordinate(c.params.Get("longitude"), 180)
	switch {
	case badLatitude || badLongitude:
		return badParam("latitude and longitude must be degrees")
	case hasLatitude != hasLongitude:
		return badParam("latitude and longitude must be sent together")
	case strings.TrimSpace(words) == "" && !hasLatitude:
		return badParam("q or latitude and longitude are required")
	}
	asked, a, ok := c.selection(names(spotFields...), "id", "name", "city", "country")
	if !ok {
		return a
	}
	if c.full(locationSearches) {
		return c.quotaFull()
	}
	if a, ok := c.spends(locationSearches, ""); !ok {
		return a
	}
	var found []*spot
	for i := range spots {
		p := &spots[i]
		text := strings.ToLower(p.name + " " + p.city + " " + p.country)
		if strings.Contains(text, strings.ToLower(strings.TrimSpace(words))) &&
			(!hasLatitude || p.distance(latitude, longitude) <= nearKM) {
			found = append(found, p)
		}
	}
	if hasLatitude {
		slices.SortFunc(found, func(a, b *spot) int {
			return cmp.Compare(a.distance(latitude, longitude), b.distance(latitude, longitude))
		})
	}
	list := make([]any, 0, len(found))
	for _, p := range found {
		list = append(list, choose(p.values(), asked))
	}
	return success(map[string]any{"data": list})
}

func coordinate(raw string, most float64) (v float64, there, bad bool) {
	if raw == "" {
		return 0, false, false
	}
	v, err := strconv.ParseFloat(raw, 64)
	return v, true, err != nil || math.IsNaN(v) || math.Abs(v) > most
}

// location answers GET /{location}.
func (c *call) location(p *spot) answer {
	if a, ok := c.needs(threads.ScopeLocationTagging); !ok {
		return a
	}
	return c.pick(p.values(), spotFields, "id", "name")
}
