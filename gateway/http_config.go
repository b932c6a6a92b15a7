package gateway

import (
	"fmt"
	"net/netip"
	"time"
)

// HTTPConfig holds the settings of the HTTP API and of the server under it.
type HTTPConfig struct {
	TrustedProxies    []string      `koanf:"trusted_proxies"`     // CIDRs whose X-Forwarded-For and X-Request-Id are believed
	MaxBodyBytes      int           `koanf:"max_body_bytes"`      // of a request
	RequestTimeout    time.Duration `koanf:"request_timeout"`     // of one call, all in all
	SendTimeout       time.Duration `koanf:"send_timeout"`        // for which POST /messages/send waits for the ack
	BodyTimeout       time.Duration `koanf:"body_timeout"`        // for which a request's body may take to arrive
	ReadHeaderTimeout time.Duration `koanf:"read_header_timeout"` // for which a request's header may take to arrive
	WriteTimeout      time.Duration `koanf:"write_timeout"`       // from a request's header to the end of its answer
	IdleTimeout       time.Duration `koanf:"idle_timeout"`        // for which a connection may wait for its next request
	MaxHeaderBytes    int           `koanf:"max_header_bytes"`
}

// DefaultHTTPConfig returns the settings that suit most.
func DefaultHTTPConfig() HTTPConfig {
	return HTTPConfig{
		MaxBodyBytes:      64 << 10,
		RequestTimeout:    15 * time.Second,
		SendTimeout:       10 * time.Second,
		BodyTimeout:       10 * time.Second,
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    16 << 10,
	}
}

// Validate reports the first setting that cannot work, by its name within the section.
func (c HTTPConfig) Validate() error {
	for _, p := range c.TrustedProxies {
		if _, err := netip.ParsePrefix(p); err != nil {
			return fmt.Errorf("trusted_proxies: %q is not a CIDR", p)
		}
	}
	for _, n := range []struct {
		name            string
		value, min, max int
	}{
		{"max_body_bytes", c.MaxBodyBytes, 1 << 10, 64 << 20},
		{"max_header_bytes", c.MaxHeaderBytes, 1 << 10, 1 << 20},
	} {
		if n.value < n.min || n.value > n.max {
			return fmt.Errorf("%s: must be %d to %d", n.name, n.min, n.max)
		}
	}
	for _, d := range []struct {
		name     string
		value    time.Duration
		min, max time.Duration
	}{
		{"request_timeout", c.RequestTimeout, 10 * time.Millisecond, 10 * time.Minute},
		{"send_timeout", c.SendTimeout, time.Millisecond, c.RequestTimeout},
		{"body_timeout", c.BodyTimeout, 10 * time.Millisecond, 10 * time.Minute},
		{"read_header_timeout", c.ReadHeaderTimeout, 10 * time.Millisecond, 10 * time.Minute},
		{"write_timeout", c.WriteTimeout, c.RequestTimeout + c.BodyTimeout, time.Hour},
		{"idle_timeout", c.IdleTimeout, time.Second, time.Hour},
	} {
		if d.value < d.min || d.value > d.max {
			return fmt.Errorf("%s: must be %s to %s", d.name, d.min, d.max)
		}
	}
	return nil
}
