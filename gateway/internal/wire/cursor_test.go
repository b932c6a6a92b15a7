package wire

import (
	"encoding/base64"
	"math"
	"strings"
	"testing"

	"github.com/gochat-im/gochat/platform/errs"
)

func TestListCursor(t *testing.T) {
	t.Parallel()
	for _, c := range []ListCursor{{}, {A: 1}, {A: math.MaxInt64, B: math.MaxInt64}, {Text: "álice\x00"}, {A: 5, B: 6, Text: "x"}} {
		text := c.Format(ListMembers)
		if back, err := ParseListCursor(ListMembers, text); err != nil || back != c {
			t.Errorf("%+v became %+v, %v", c, back, err)
		}
		if _, err := ParseListCursor(ListUsers, text); errs.CodeOf(err) != errs.Invalid {
			t.Errorf("another list took %q: %v", text, err)
		}
		for i := range text {
			forged := text[:i] + strings.Map(func(r rune) rune { return r ^ 1 }, text[i:i+1]) + text[i+1:]
			if _, err := ParseListCursor(ListMembers, forged); errs.CodeOf(err) != errs.Invalid {
				t.Errorf("%q (from %q) was read: %v", forged, text, err)
			}
		}
	}
	good := ListCursor{A: 7}.Format(ListMembers)
	for _, forged := range []string{"forged", good + "=", good + "\n", good[1:], " " + good, strings.Repeat("A", 4096), base64.RawURLEncoding.EncodeToString([]byte{2, ListMembers, 0, 0, 0, 0, 0, 0})} {
		if _, err := ParseListCursor(ListMembers, forged); errs.CodeOf(err) != errs.Invalid {
			t.Errorf("%q was read: %v", forged, err)
		}
	}
	if c, err := ParseListCursor(ListMembers, ""); err != nil || c != (ListCursor{}) {
		t.Errorf("no cursor: %+v, %v", c, err)
	}
}

// A cursor that is read is one that Format writes, and its numbers can stand in a query.
func FuzzListCursor(f *testing.F) {
	f.Add(ListMembers, ListCursor{A: 387204871236485120}.Format(ListMembers))
	f.Add(ListUsers, ListCursor{Text: "alice"}.Format(ListUsers))
	f.Add(ListConversations, "AWMAAA")
	f.Fuzz(func(t *testing.T, list byte, text string) {
		c, err := ParseListCursor(list, text)
		if err != nil {
			if errs.CodeOf(err) != errs.Invalid {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if c.A < 0 || c.B < 0 || (text != "" && c.Format(list) != text) {
			t.Fatalf("%q was read as %+v, which is %q", text, c, c.Format(list))
		}
	})
}
