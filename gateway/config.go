// Package gateway is the role that faces the clients: WebSocket connections
// and the hub that knows them, the HTTP API, and the limits on both. It holds
// no data: rules are asked of logic, and what a socket misses the client pulls.
package gateway

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/gochat-im/gochat/platform/limit"
	"github.com/gochat-im/gochat/platform/trace"
)

// Config is the gateway's section of the settings.
type Config struct {
	WebSocket WebSocketConfig `koanf:"websocket"`
	HTTP      HTTPConfig      `koanf:"http"`
	Limits    LimitsConfig    `koanf:"limits"`
	Order     OrderConfig     `koanf:"order"`
	Receipts  ReceiptsConfig  `koanf:"receipts"`
	// MaxMessageBytes bounds the content of one message, over HTTP and WebSocket.
	MaxMessageBytes int `koanf:"max_message_bytes"`
	// Tracer begins the traces of requests and frames; nil: there are none.
	Tracer *trace.Tracer `koanf:"-"`
}

// WebSocketConfig holds the settings of the sockets.
type WebSocketConfig struct {
	AllowedOrigins     []string      `koanf:"allowed_origins"`      // host patterns besides the server's own host
	AuthTimeout        time.Duration `koanf:"auth_timeout"`         // for the first frame of a socket without a token
	Heartbeat          time.Duration `koanf:"heartbeat"`            // a client sends something at least this often
	WriteTimeout       time.Duration `koanf:"write_timeout"`        // a socket that takes nothing for so long is closed with 4003
	DrainWindow        time.Duration `koanf:"drain_window"`         // over which a stop spreads the closes
	QueueSoftBytes     int           `koanf:"queue_soft_bytes"`     // above it typing and presence are dropped
	QueueBodyBytes     int           `koanf:"queue_body_bytes"`     // above it events become "behind" marks
	QueueMaxBytes      int           `koanf:"queue_max_bytes"`      // above it the socket is closed with 4003
	FlushWorkers       int           `koanf:"flush_workers"`        // 0: one a processor, at least two
	MaxUnauthenticated int           `koanf:"max_unauthenticated"`  // sockets that have not authenticated yet
	MaxMalformed       int           `koanf:"max_malformed_frames"` // a minute, then 4508
	MaxFrameBytes      int           `koanf:"max_frame_bytes"`      // of a client's frame, then 4501
}

// OrderConfig bounds how the events of a conversation are kept in order.
type OrderConfig struct {
	HoldFor   time.Duration `koanf:"hold_for"`   // an event above a gap waits so long for what is missing
	HoldBytes int           `koanf:"hold_bytes"` // of what waits; what does not fit goes out above its gap
	Positions int           `koanf:"positions"`  // conversations whose position is remembered
}

// ReceiptsConfig paces how it is found out what receivers' devices have got.
type ReceiptsConfig struct {
	Every time.Duration `koanf:"every"` // 0: messages go from sent to read
	Batch int           `koanf:"batch"` // connections that are asked, and pointers that are passed on, at a time
}

func (c ReceiptsConfig) validate() error {
	switch {
	case c.Every != 0 && (c.Every < 10*time.Millisecond || c.Every > time.Minute):
		return errors.New("every: must be 0s, or 10ms to 1m")
	case c.Batch < 1 || c.Batch > 1000:
		return errors.New("batch: must be 1 to 1,000")
	}
	return nil
}

// LimitsConfig holds the rates that a client may not exceed. Rates are per second.
type LimitsConfig struct {
	Maker                     limit.Maker `koanf:"-"` // of the limits by address and user; nil: they are this process's own
	ConnectionsPerUser        int         `koanf:"connections_per_user"`
	UnauthenticatedPerAddress int         `koanf:"unauthenticated_per_address"`
	ConnectRate               float64     `koanf:"connect_rate"` // a client address
	ConnectBurst              int         `koanf:"connect_burst"`
	FrameRate                 float64     `koanf:"frame_rate"` // a connection
	FrameBurst                int         `koanf:"frame_burst"`
	SendRate                  float64     `koanf:"send_rate"` // a user, over WebSocket and HTTP together
	SendBurst                 int         `koanf:"send_burst"`
	RequestRate               float64     `koanf:"request_rate"` // a client address, over HTTP
	RequestBurst              int         `koanf:"request_burst"`
	CallRate                  float64     `koanf:"call_rate"` // a user, over HTTP
	CallBurst                 int         `koanf:"call_burst"`
	LoginRate                 float64     `koanf:"login_rate"` // a client address, successful ones and refreshes included
	LoginBurst                int         `koanf:"login_burst"`
	RegisterRate              float64     `koanf:"register_rate"` // a client address
	RegisterBurst             int         `koanf:"register_burst"`
	ExemptAddresses           []string    `koanf:"exempt_addresses"` // CIDRs that no limit per address applies to
}

// DefaultConfig returns the settings that suit one machine.
func DefaultConfig() Config {
	return Config{
		WebSocket: WebSocketConfig{
			AuthTimeout:        10 * time.Second,
			Heartbeat:          30 * time.Second,
			WriteTimeout:       10 * time.Second,
			DrainWindow:        5 * time.Second,
			QueueSoftBytes:     128 << 10,
			QueueBodyBytes:     512 << 10,
			QueueMaxBytes:      1 << 20,
			MaxUnauthenticated: 5000,
			MaxMalformed:       10,
			MaxFrameBytes:      256 << 10,
		},
		Order:    OrderConfig{HoldFor: 300 * time.Millisecond, HoldBytes: 16 << 20, Positions: 100_000},
		Receipts: ReceiptsConfig{Every: 500 * time.Millisecond, Batch: 1000},
		HTTP:     DefaultHTTPConfig(),
		Limits: LimitsConfig{
			ConnectionsPerUser:        20,
			UnauthenticatedPerAddress: 100,
			ConnectRate:               200,
			ConnectBurst:              1000,
			FrameRate:                 2000,
			FrameBurst:                4000,
			SendRate:                  1000,
			SendBurst:                 2000,
			RequestRate:               500,
			RequestBurst:              2000,
			CallRate:                  1000,
			CallBurst:                 2000,
			LoginRate:                 5,
			LoginBurst:                200,
			RegisterRate:              0.5,
			RegisterBurst:             60,
			ExemptAddresses:           []string{"127.0.0.0/8", "::1/128"},
		},
		MaxMessageBytes: 16 << 10,
	}
}

// Validate reports the first setting that cannot work, by its name within the section.
func (c Config) Validate() error {
	if c.MaxMessageBytes < 1 || c.MaxMessageBytes > 1<<20 {
		return errors.New("max_message_bytes: must be 1 to 1,048,576")
	}
	if err := c.WebSocket.validate(); err != nil {
		return fmt.Errorf("websocket.%w", err)
	}
	// JSON may take six bytes for one of the content.
	if c.WebSocket.MaxFrameBytes < 6*c.MaxMessageBytes+1024 {
		return errors.New("websocket.max_frame_bytes: must be at least six times max_message_bytes and 1,024")
	}
	if err := c.Order.validate(); err != nil {
		return fmt.Errorf("order.%w", err)
	}
	if err := c.Receipts.validate(); err != nil {
		return fmt.Errorf("receipts.%w", err)
	}
	if err := c.HTTP.Validate(); err != nil {
		return fmt.Errorf("http.%w", err)
	}
	if err := c.Limits.validate(); err != nil {
		return fmt.Errorf("limits.%w", err)
	}
	return nil
}

func (c OrderConfig) validate() error {
	switch {
	case c.HoldFor < time.Millisecond || c.HoldFor > 10*time.Second:
		return errors.New("hold_for: must be 1ms to 10s")
	case c.HoldBytes < 0 || c.HoldBytes > 1<<30:
		return errors.New("hold_bytes: must be 0 to 1,073,741,824")
	case c.Positions < 1000 || c.Positions > 100_000_000:
		return errors.New("positions: must be 1,000 to 100,000,000")
	}
	return nil
}

func (c WebSocketConfig) validate() error {
	for _, d := range []struct {
		name     string
		value    time.Duration
		min, max time.Duration
	}{
		{"auth_timeout", c.AuthTimeout, 100 * time.Millisecond, 5 * time.Minute},
		{"heartbeat", c.Heartbeat, 100 * time.Millisecond, 10 * time.Minute},
		{"write_timeout", c.WriteTimeout, 100 * time.Millisecond, 5 * time.Minute},
		{"drain_window", c.DrainWindow, 0, 10 * time.Minute},
	} {
		if d.value < d.min || d.value > d.max {
			return fmt.Errorf("%s: must be %s to %s", d.name, d.min, d.max)
		}
	}
	for _, n := range []struct {
		name            string
		value, min, max int
	}{
		{"queue_soft_bytes", c.QueueSoftBytes, 1 << 10, 1 << 30},
		{"queue_body_bytes", c.QueueBodyBytes, c.QueueSoftBytes, 1 << 30},
		{"queue_max_bytes", c.QueueMaxBytes, c.QueueBodyBytes, 1 << 30},
		{"flush_workers", c.FlushWorkers, 0, 1024},
		{"max_unauthenticated", c.MaxUnauthenticated, 1, 10_000_000},
		{"max_frame_bytes", c.MaxFrameBytes, 1 << 10, 64 << 20},
		{"max_malformed_frames", c.MaxMalformed, 1, 1_000_000},
	} {
		if n.value < n.min || n.value > n.max {
			return fmt.Errorf("%s: must be %d to %d", n.name, n.min, n.max)
		}
	}
	return nil
}

func (c LimitsConfig) validate() error {
	for _, n := range []struct {
		name  string
		value float64
	}{
		{"connections_per_user", float64(c.ConnectionsPerUser)},
		{"unauthenticated_per_address", float64(c.UnauthenticatedPerAddress)},
		{"connect_rate", c.ConnectRate},
		{"connect_burst", float64(c.ConnectBurst)},
		{"frame_rate", c.FrameRate},
		{"frame_burst", float64(c.FrameBurst)},
		{"send_rate", c.SendRate},
		{"send_burst", float64(c.SendBurst)},
		{"request_rate", c.RequestRate},
		{"request_burst", float64(c.RequestBurst)},
		{"call_rate", c.CallRate},
		{"call_burst", float64(c.CallBurst)},
		{"login_rate", c.LoginRate},
		{"login_burst", float64(c.LoginBurst)},
		{"register_rate", c.RegisterRate},
		{"register_burst", float64(c.RegisterBurst)},
	} {
		if !(n.value > 0 && n.value <= 1e9) {
			return fmt.Errorf("%s: must be more than 0 and at most 1,000,000,000", n.name)
		}
	}
	for _, a := range c.ExemptAddresses {
		if _, err := netip.ParsePrefix(a); err != nil {
			return fmt.Errorf("exempt_addresses: %q is not a CIDR", a)
		}
	}
	return nil
}
