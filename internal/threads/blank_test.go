package threads

import "testing"

func TestIsBlank(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing": "", "spaces": " \t\n\u00a0\u3000\u2003", "zero width": "\u200b\u200c\u200d\u2060\ufeff", "marks of direction": "\u200e\u200f\u202a\u2066\u2069",
		"a soft hyphen": "\u00ad", "Hangul fillers": "\u115f\u1160\u3164\uffa0", "variation selectors": "\ufe0f\U000e0100", "tags": "\U000e0041\U000e007f",
		"a grapheme joiner": "\u034f", "blank Braille": "\u2800", "Khmer vowels that are none": "\u17b4\u17b5", "Mongolian separators": "\u180e\u180b",
	} {
		if !isBlank(text) {
			t.Errorf("%s can be seen", name)
		}
	}
	for _, text := range []string{"a", " . ", "\u200b👍", "❤\ufe0f", "\u0301", "あ", "\u2801"} {
		if isBlank(text) {
			t.Errorf("%q cannot be seen", text)
		}
	}
}
