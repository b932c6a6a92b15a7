package gateway

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/gochat-im/gochat/logic/logicpb"
)

// One subscriber has 2^64 addresses of IPv6, and is one to the limits.
func TestLimitsKnowNetworks(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) {
		c.HTTP.TrustedProxies = []string{"127.0.0.0/8"}
		c.Limits.ConnectRate, c.Limits.ConnectBurst = 0.001, 6
		c.Limits.UnauthenticatedPerAddress = 3
	})
	var refused int
	for i := range 8 {
		_, status, err := h.dial("", http.Header{"X-Forwarded-For": {"2001:db8:1:2::" + strconv.Itoa(i)}})
		if err != nil && status == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused != 5 {
		t.Errorf("%d of 8 strangers of one network were refused, want 5", refused)
	}
	if _, status, _ := h.dial("?token=7.70", http.Header{"X-Forwarded-For": {"2001:db8:1:2::9"}}); status != http.StatusTooManyRequests {
		t.Errorf("the network's connect rate: %d", status)
	}
	if _, _, err := h.dial("", http.Header{"X-Forwarded-For": {"2001:db8:1:3::1"}}); err != nil {
		t.Errorf("another network: %v", err)
	}
}

// Also guesses are counted by the network; and a proxy that is not trusted is not believed.
func TestGuessesAreCountedByNetwork(t *testing.T) {
	t.Parallel()
	for trusted, want := range map[string]string{"127.0.0.0/8": "2001:db8:1:2::/64", "10.0.0.0/8": "127.0.0.1"} {
		f := newHTTPFixture(t, func(c *Config) { c.HTTP.TrustedProxies = []string{trusted} })
		for range 2 {
			f.do(t, "POST", "/api/v1/auth/login", `{"username":"alice","password":"x"}`, "X-Forwarded-For", "2001:db8:1:2::7")
		}
		if r := got[*logicpb.AuthenticateRequest](t, f.logic, "Authenticate"); r.GetClientAddress() != want {
			t.Errorf("proxies %s: a guess of %s, want %s", trusted, r.GetClientAddress(), want)
		}
		if told := strings.Count(f.log.String(), "trusted_proxies"); told != map[string]int{"127.0.0.0/8": 0, "10.0.0.0/8": 1}[trusted] {
			t.Errorf("proxies %s: an operator was told %d times: %s", trusted, told, f.log.String())
		}
	}
}
