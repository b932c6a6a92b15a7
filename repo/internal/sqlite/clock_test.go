package sqlite

import (
	"path/filepath"
	"testing"
	"time"
)

func TestClockNeverGoesBackAndPassesCursors(t *testing.T) {
	t.Parallel()
	ahead := time.Now().Add(time.Hour).UnixMilli()
	c := clock{last: ahead}
	if now := c.begin(); now != ahead {
		t.Errorf("begin: %d, want %d", now, ahead)
	}
	if got := c.cursor(); got != ahead-1 {
		t.Errorf("cursor during a transaction: %d, want %d", got, ahead-1)
	}
	c.end(true)
	if got := c.cursor(); got != ahead {
		t.Errorf("cursor at rest: %d, want %d", got, ahead)
	}
	if now := c.begin(); now != ahead+1 {
		t.Errorf("begin after a cursor: %d, want %d", now, ahead+1)
	}
	c.end(false)
	if got := c.cursor(); got != ahead {
		t.Errorf("cursor after a rollback: %d, want %d", got, ahead)
	}
}

func TestClockIsRestored(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), FileName)
	s := openAt(t, path)
	ahead := time.Now().Add(time.Hour).UnixMilli()
	s.clock.last = ahead
	if err := s.Write(t.Context(), addInvitation("a")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if again := openAt(t, path); again.clock.last != ahead {
		t.Errorf("clock: %d, want %d", again.clock.last, ahead)
	}
}
