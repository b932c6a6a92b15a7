// Package redis is the connection to Redis that caches, registry and limits
// share: one rueidis client with its settings, whether the server is there, and
// scripts. It knows nothing of chat.
package redis

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/rueidis"

	"github.com/gochat-im/gochat/platform/errs"
)

const (
	pingGap    = 500 * time.Millisecond // between two proofs of life of a connection
	bufferSize = 64 << 10               // of a connection, each way; it grows with neither load nor time
)

// Options shape one client.
type Options struct {
	Name string // label of its metrics and log lines
	// OnInvalidate makes Redis track what the client reads: it is called with keys that another client changed, or with nil
	// when nothing that was read may be trusted any more (a connection was lost, the database was flushed). It must be quick;
	// a key read before is reported after the answer to that read.
	OnInvalidate func(keys []string)
}

// Client is a connection to one server, or one to each node of a cluster. Commands are pipelined and never repeated by
// themselves. It must be closed.
type Client struct {
	rueidis.Client

	cfg  Config
	link *link
}

// Open connects. It fails when the server does not answer, naming the setting that is wrong where it can tell. reg may
// be nil.
func Open(ctx context.Context, cfg Config, o Options, log *slog.Logger, reg prometheus.Registerer) (*Client, error) {
	encrypt, err := cfg.TLS.Config()
	if err != nil {
		return nil, fmt.Errorf("tls.%w", err)
	}
	l := newLink(o.Name, cfg, log, reg)
	tracking := []string{"OPTIN"} // nothing is tracked; what remains is to be told of lost connections
	if o.OnInvalidate != nil {
		tracking = []string{"NOLOOP"} // everything that is read is tracked, and not told of what was changed here
	}
	opts := rueidis.ClientOption{
		InitAddress: cfg.Addresses, Username: cfg.Username, Password: cfg.Password, SelectDB: cfg.DB,
		ClientName: "gochat-" + o.Name, TLSConfig: encrypt,
		ConnWriteTimeout: cfg.Timeout, DisableRetry: true,
		// One connection to a server: answers and invalidations come in the server's order.
		PipelineMultiplex: -1, BlockingPipeline: -1,
		ReadBufferEachConn: bufferSize, WriteBufferEachConn: bufferSize, CacheSizeEachConn: 1,
		ClientTrackingOptions: tracking,
		OnInvalidations: func(messages []rueidis.RedisMessage) {
			if messages == nil {
				l.lose(nil)
			}
			if o.OnInvalidate != nil {
				o.OnInvalidate(names(messages))
			}
		},
	}
	opts.Dialer.Timeout, opts.Dialer.KeepAlive = cfg.DialTimeout, pingGap
	client, err := rueidis.NewClient(opts)
	if err != nil {
		return nil, fmt.Errorf("addresses: connect to Redis at %s: %w", strings.Join(cfg.Addresses, ", "), err)
	}
	if err := l.start(ctx, client); err != nil {
		client.Close()
		return nil, fmt.Errorf("addresses: Redis at %s: %w", strings.Join(cfg.Addresses, ", "), err)
	}
	return &Client{Client: client, cfg: cfg, link: l}, nil
}

// names are the keys of an invalidation; nil stays nil.
func names(messages []rueidis.RedisMessage) []string {
	if messages == nil {
		return nil
	}
	keys := make([]string, 0, len(messages))
	for i := range messages {
		if key, err := messages[i].ToString(); err == nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// Close ends the connection and what watches it.
func (c *Client) Close() {
	c.link.stop()
	c.Client.Close()
}

// Key makes a key of parts, below the prefix of the settings.
func (c *Client) Key(parts ...string) string {
	return c.cfg.Prefix + ":" + strings.Join(parts, ":")
}

// Within bounds a call by the timeout of the settings. The caller's end of ctx ends it too.
func (c *Client) Within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.cfg.Timeout)
}

// State tells whether the server is there. It costs nothing.
func (c *Client) State() State { return *c.link.state.Load() }

// Watch calls fn after every change of the state, one call at a time, until Close. fn must be quick.
func (c *Client) Watch(fn func(State)) { c.link.watch(fn) }

// Ready reports why the server is not there, or nil.
func (c *Client) Ready() error { return c.link.ready() }

// Failed turns the error of a command into one of the catalogue (nil stays nil), and has the connection proven when the
// server may be gone.
func (c *Client) Failed(err error, doing string) error {
	if err == nil || rueidis.IsRedisNil(err) {
		return nil
	}
	if _, answered := rueidis.IsRedisErr(err); !answered {
		c.link.doubt()
	}
	return errs.Wrap(errs.Unavailable, fmt.Errorf("%s: %w", doing, err), "a backend is unavailable")
}
