package gateway

import (
	"strings"
	"testing"
	"time"

	"github.com/gochat-im/gochat/logic/logicpb"
)

// The wall clock was wrong when the hub was made, and has been set right since: sockets live as long as they should.
func TestClockThatIsSet(t *testing.T) {
	t.Parallel()
	for name, by := range map[string]time.Duration{"back by an hour": time.Hour, "ahead by years": -30 * 365 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, func(c *Config) {
				c.WebSocket.AuthTimeout = 300 * time.Millisecond
				c.WebSocket.Heartbeat = 400 * time.Millisecond
			})
			h.hub.clock.epoch += by.Milliseconds()
			h.logic.validate = func(token string) (*logicpb.Identity, error) {
				who, err := identityOf(strings.TrimPrefix(token, "short-"))
				if err == nil && strings.HasPrefix(token, "short-") {
					who.ExpiresAt = time.Now().Add(500 * time.Millisecond).UnixMilli()
				}
				return who, err
			}
			stranger, _, err := h.dial("", nil)
			if err != nil {
				t.Fatal(err)
			}
			expiring, _, err := h.dial("?token=short-7.70", nil)
			if err != nil {
				t.Fatal(err)
			}
			silent := h.connect(8, 80)
			silent.nothing()
			stranger.expectClose(codeAuthTimeout)
			expiring.expectClose(codeTokenExpired)
			silent.expect("ping")
			silent.expectClose(codePingTimeout)
		})
	}
}
