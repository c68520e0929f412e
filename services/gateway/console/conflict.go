package console

import (
	"cmp"
	"strings"
)

// difference is a field of which a post has something else than the editor.
type difference struct{ Name, Theirs, Mine string }

// differences are the fields that somebody else's version and one's own do not share, in the words of the editor.
func (v *visit) differences(theirs, mine draft) (list []difference) {
	said := func(d draft) [][2]string {
		var media []string
		for _, m := range d.Media {
			media = append(media, cmp.Or(m.URL, "(no address)")+" "+m.Alt)
		}
		at := cmp.Or(v.goes(d), d.Date+" "+d.Time+" "+d.Zone)
		return [][2]string{
			{"Text", strings.Join(partsOf(d.Text), divided)}, {"When", strings.TrimSuffix(strings.TrimPrefix(at, "Goes out "), ".")}, {"Pictures and videos", strings.Join(media, "\n")},
			{"Poll", strings.Join(d.Poll, "\n")}, {"Topic", d.Topic}, {"Who may reply", cmp.Or(controls[d.ReplyControl], d.ReplyControl)}, {"Link", d.Link}, {"Place", d.Location},
			{"Pictures hidden", yes(d.SpoilerMedia)}, {"Ghost post", yes(d.Ghost)}, {"Replies wait for approval", yes(d.Approvals)},
		}
	}
	ours := said(mine)
	for i, field := range said(theirs) {
		if field != ours[i] {
			list = append(list, difference{field[0], field[1], ours[i][1]})
		}
	}
	return list
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}
