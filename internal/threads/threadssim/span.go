package threadssim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Span is how long something takes: each time anew between Min and Max. With a Chance above 0 and below 1 it takes that
// long only so often, and no time otherwise.
//
// As JSON it is "3s", "1s..5s", a number of seconds, or {"min":"0s","max":"3s","chance":0.25}. Days are written 60d.
type Span struct {
	Min, Max time.Duration
	Chance   float64
}

// Always is a span of one length.
func Always(d time.Duration) Span { return Span{Min: d, Max: d} }

func (p Span) zero() bool { return p.Min <= 0 && p.Max <= 0 }

// draw takes from the generator only what it needs: a span of one length takes nothing.
func (p Span) draw(r *rand.Rand) time.Duration {
	if p.zero() || (p.Chance > 0 && !chance(r, p.Chance)) {
		return 0
	}
	if p.Max <= p.Min {
		return p.Min
	}
	return p.Min + time.Duration(r.Int64N(int64(p.Max-p.Min)+1))
}

// chance says whether something of this probability happens. What never or always happens draws nothing.
func chance(r *rand.Rand, probability float64) bool {
	return probability > 0 && (probability >= 1 || r.Float64() < probability)
}

func (p Span) check() error {
	switch {
	case p.Min < 0 || p.Max < p.Min:
		return fmt.Errorf("%s..%s is not a span of time", p.Min, p.Max)
	case p.Chance < 0 || p.Chance > 1:
		return fmt.Errorf("chance %v is not between 0 and 1", p.Chance)
	}
	return nil
}

func (p Span) MarshalJSON() ([]byte, error) {
	switch {
	case p.Chance > 0 && p.Chance < 1:
		return json.Marshal(map[string]any{"min": p.Min.String(), "max": p.Max.String(), "chance": p.Chance})
	case p.Min == p.Max:
		return json.Marshal(p.Min.String())
	}
	return json.Marshal(p.Min.String() + ".." + p.Max.String())
}

func (p *Span) UnmarshalJSON(raw []byte) error {
	if bytes.HasPrefix(raw, []byte("{")) {
		var object struct {
			Min, Max Duration
			Chance   float64
		}
		if err := strict(raw, &object); err != nil {
			return err
		}
		*p = Span{time.Duration(object.Min), max(time.Duration(object.Min), time.Duration(object.Max)), object.Chance}
		return nil
	}
	low, high, ranged := strings.Cut(strings.Trim(string(raw), `"`), "..")
	if !ranged {
		high = low
	}
	least, err := parseDuration(low)
	if err != nil {
		return err
	}
	most, err := parseDuration(high)
	*p = Span{Min: least, Max: most}
	return err
}

// Duration is a time.Duration that reads "90m", "60d" and plain seconds.
type Duration time.Duration

func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

func (d *Duration) UnmarshalJSON(raw []byte) error {
	v, err := parseDuration(strings.Trim(string(raw), `"`))
	*d = Duration(v)
	return err
}

func parseDuration(s string) (time.Duration, error) {
	s = strings.TrimSpace(s)
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		return time.Duration(n * float64(time.Second)), nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseFloat(days, 64); err == nil {
			return time.Duration(n * 24 * float64(time.Hour)), nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%.40q is not a duration such as 3s, 2m30s or 60d", s)
	}
	return d, nil
}

// strict decodes JSON and refuses names it does not know: a misspelt knob that is ignored would make a test pass for
// nothing.
func strict(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
