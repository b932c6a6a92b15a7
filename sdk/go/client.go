package gochat

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
)

// Client makes the calls of a server's HTTP API for one account. It is safe for
// concurrent use.
type Client struct {
	servers  servers
	more     []string // URLs that an option added
	http     *http.Client
	log      *slog.Logger
	onTokens func(Tokens)

	mu      sync.Mutex // guards what follows
	tokens  Tokens
	refresh *refreshCall // the one under way, if any
}

// Option changes how a Client works.
type Option func(*Client)

// WithHTTPClient makes the client use c for everything, WebSockets included.
// A timeout of c would end WebSockets: leave it 0 and use contexts.
func WithHTTPClient(c *http.Client) Option { return func(client *Client) { client.http = c } }

// WithServers adds other servers of the same deployment. The client stays with
// one server, and goes on to the next when it cannot be reached or is stopping:
// a session reconnects there and resends what was not acknowledged; a call that
// only reads is made again there.
func WithServers(baseURLs ...string) Option {
	return func(client *Client) { client.more = append(client.more, baseURLs...) }
}

// WithTokens starts with the tokens of an earlier login.
func WithTokens(t Tokens) Option { return func(client *Client) { client.tokens = t } }

// WithTokenListener calls f, not concurrently, whenever the tokens change, so
// that they can be kept. They are empty after a logout.
func WithTokenListener(f func(Tokens)) Option { return func(client *Client) { client.onTokens = f } }

// WithLogger logs reconnects and the like. By default nothing is logged; tokens
// and contents never are.
func WithLogger(log *slog.Logger) Option { return func(client *Client) { client.log = log } }

// New returns a client of the server at baseURL, for example
// https://chat.example.org. It makes no call yet.
func New(baseURL string, options ...Option) (*Client, error) {
	c := &Client{http: &http.Client{}, log: slog.New(slog.DiscardHandler)}
	for _, option := range options {
		option(c)
	}
	for _, u := range append([]string{baseURL}, c.more...) {
		if err := c.servers.add(u); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// call makes one authorized call: in is sent as JSON unless nil, the answer is
// decoded into out unless nil. An expired access token is refreshed and the
// call made again, once.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	token, err := c.accessToken(ctx)
	if err != nil {
		return err
	}
	err = c.callWith(ctx, token, method, path, in, out)
	if IsCode(err, CodeUnauthorized) && c.canRefresh() {
		if token, err = c.refreshed(ctx, token); err != nil {
			return err
		}
		return c.callWith(ctx, token, method, path, in, out)
	}
	return err
}

// callWith makes one call with that token, or without when it is empty.
func (c *Client) callWith(ctx context.Context, token, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("gochat: encode %s %s: %w", method, path, err)
		}
	}
	var err error
	for range c.servers.tries(method) {
		base, at := c.servers.current()
		var reached bool
		if reached, err = c.callServer(ctx, base, token, method, path, body, out); reached || ctx.Err() != nil {
			return err
		}
		c.servers.leave(at)
	}
	return err
}

// callServer makes a call at one server. It is not reached when it does not
// answer, or answers that it cannot serve now.
func (c *Client) callServer(ctx context.Context, base, token, method, path string, body []byte, out any) (reached bool, err error) {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, reader)
	if err != nil {
		return true, fmt.Errorf("gochat: %s %s: %w", method, path, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return false, fmt.Errorf("gochat: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return resp.StatusCode != http.StatusServiceUnavailable && resp.StatusCode != http.StatusBadGateway, responseError(resp)
	}
	if out == nil || resp.StatusCode == http.StatusNoContent {
		_, _ = io.Copy(io.Discard, resp.Body) // so that the connection is reused
		return true, nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return true, fmt.Errorf("gochat: decode %s %s: %w", method, path, err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return true, nil
}

// query appends the parameters that are not empty to a path.
func query(path string, pairs ...string) string {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			values.Set(pairs[i], pairs[i+1])
		}
	}
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}

// Ready asks the server whether it is ready to serve.
func (c *Client) Ready(ctx context.Context) error {
	return c.callWith(ctx, "", http.MethodGet, "/readyz", nil, nil)
}
