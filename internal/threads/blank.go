package threads

import "unicode"

// unseen are characters that show nothing: spaces, controls and formats, what Unicode says to ignore where it cannot be shown, and
// the blank pattern of Braille, which is none of these.
var unseen = []*unicode.RangeTable{
	unicode.White_Space, unicode.Cc, unicode.Cf, unicode.Zs, unicode.Zl, unicode.Zp,
	unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector,
	{R16: []unicode.Range16{{Lo: 0x2800, Hi: 0x2800, Stride: 1}}},
}

// isBlank says that nothing of a text can be seen.
func isBlank(text string) bool {
	for _, r := range text {
		if !unicode.In(r, unseen...) {
			return false
		}
	}
	return true
}
