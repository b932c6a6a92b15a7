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
	"strings"
	"sync"
)

// Client makes the calls of a server's HTTP API for one account. It is safe for
// concurrent use.
type Client struct {
	base     string
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
	u, err := url.Parse(baseURL)
	if err != nil {
		return nil, fmt.Errorf("gochat: base URL: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("gochat: base URL must look like https://host, not %q", baseURL)
	}
	c := &Client{base: strings.TrimRight(u.String(), "/"), http: &http.Client{}, log: slog.New(slog.DiscardHandler)}
	for _, option := range options {
		option(c)
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
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("gochat: encode %s %s: %w", method, path, err)
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return fmt.Errorf("gochat: %s %s: %w", method, path, err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("gochat: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return responseError(resp)
	}
	if out == nil || resp.StatusCode == http.StatusNoContent {
		_, _ = io.Copy(io.Discard, resp.Body) // so that the connection is reused
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("gochat: decode %s %s: %w", method, path, err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return nil
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
