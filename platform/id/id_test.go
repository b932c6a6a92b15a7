package id_test

import (
	"errors"
	"math"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gochat-im/gochat/platform/id"
)

func TestNew(t *testing.T) {
	t.Parallel()
	seen := map[int64]bool{}
	for range 1000 {
		v := id.New()
		if v <= 0 {
			t.Fatalf("New() = %d, want a positive id", v)
		}
		seen[v] = true
	}
	// 1,000 ids of one millisecond collide once in 8 runs; ten collisions are a broken source.
	if len(seen) < 990 {
		t.Errorf("%d of 1,000 ids differ", len(seen))
	}
}

func TestTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(26 * 365 * 24 * time.Hour) // the bubble's clock starts in 2000, before the epoch
		first := id.New()
		if got := id.Time(first); !got.Equal(time.Now().Truncate(time.Millisecond)) {
			t.Errorf("Time = %v, want %v", got, time.Now())
		}
		time.Sleep(time.Millisecond)
		if second := id.New(); second <= first {
			t.Errorf("an id of a later millisecond is %d, not more than %d", second, first)
		}
	})
}

// The last millisecond still fits 63 bits.
func TestTimeOfLargest(t *testing.T) {
	t.Parallel()
	if got := id.Time(math.MaxInt64).UTC().Year(); got != 2093 {
		t.Errorf("ids last until %d, want 2093", got)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"1", "42", "9223372036854775807"} {
		if v, err := id.Parse(s); err != nil || id.Format(v) != s {
			t.Errorf("Parse(%q) = %d, %v", s, v, err)
		}
	}
	for _, s := range []string{
		"", "0", "-1", "+1", "01", " 1", "1 ", "1\n", "1.0", "1e3", "0x1", "1_000", "9223372036854775808", "١", "abc", "1\x00",
	} {
		if v, err := id.Parse(s); !errors.Is(err, id.ErrMalformed) || v != 0 {
			t.Errorf("Parse(%q) = %d, %v; want 0, ErrMalformed", s, v, err)
		}
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	if got := id.Format(0); got != "" {
		t.Errorf("Format(0) = %q, want an empty string", got)
	}
	v := id.New()
	if got, err := id.Parse(id.Format(v)); err != nil || got != v {
		t.Errorf("Parse(Format(%d)) = %d, %v", v, got, err)
	}
}

// Parse takes exactly the strings that Format writes for positive ids.
func FuzzParse(f *testing.F) {
	f.Add("7301444403200000001")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := id.Parse(s)
		if err == nil {
			if v <= 0 || id.Format(v) != s {
				t.Fatalf("Parse(%q) = %d, which is written %q", s, v, id.Format(v))
			}
			return
		}
		if n, convErr := strconv.ParseInt(s, 10, 64); convErr == nil && n > 0 && strconv.FormatInt(n, 10) == s {
			t.Fatalf("Parse(%q) refuses a well-formed id: %v", s, err)
		}
	})
}
