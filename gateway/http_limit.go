package gateway

import (
	"context"
	"net/netip"
	"strconv"
	"time"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/platform/limit"
)

// httpLimits are the rates of the HTTP API; that of sends is shared with the WebSocket.
type httpLimits struct {
	exempt    []netip.Prefix
	requests  limit.Limiter // of an address
	logins    limit.Limiter // of an address
	registers limit.Limiter // of an address
	calls     limit.Limiter // of a user
}

func newHTTPLimits(c LimitsConfig) *httpLimits {
	bucket := func(name string, rate float64, burst int) limit.Limiter {
		return c.Maker.New(name, limit.Config{Rate: rate, Burst: burst}, maxLimitKeys)
	}
	return &httpLimits{
		exempt:    parsePrefixes(c.ExemptAddresses),
		requests:  bucket("requests", c.RequestRate, c.RequestBurst),
		logins:    bucket("logins", c.LoginRate, c.LoginBurst),
		registers: bucket("registers", c.RegisterRate, c.RegisterBurst),
		calls:     bucket("calls", c.CallRate, c.CallBurst),
	}
}

// allowAddress takes a token of an address: errs.RateLimited when there is none.
func (l *httpLimits) allowAddress(ctx context.Context, by limit.Limiter, address string) error {
	key, exempt := l.addressKey(address)
	if exempt {
		return nil
	}
	return limited(by.Allow(ctx, key))
}

// addressKey is what an address is limited as, unless it is exempt.
func (l *httpLimits) addressKey(address string) (key string, exempt bool) {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address, false
	}
	if contains(l.exempt, a) {
		return address, true
	}
	return subscriber(address), false
}

// subscriber is an address, or the network of an IPv6 address, of which one
// client has 2^64.
func subscriber(address string) string {
	if a, err := netip.ParseAddr(address); err == nil && a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return address
}

// allowUser takes a token of a user: errs.RateLimited when there is none.
func (l *httpLimits) allowUser(ctx context.Context, by limit.Limiter, userID int64) error {
	return limited(by.Allow(ctx, strconv.FormatInt(userID, 10)))
}

func limited(ok bool, retryAfter time.Duration) error {
	if ok {
		return nil
	}
	return errs.New(errs.RateLimited, "too many requests").RetryAfter(retryAfter)
}
