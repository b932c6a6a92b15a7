package trace

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// client sends spans to a collector, as protobuf over HTTP. The library's own clients bring a gateway from gRPC to JSON
// along, and send where environment variables say.
type client struct {
	url    string
	header http.Header
	http   *http.Client
}

func newClient(cfg Config, agent string) (*client, error) {
	to, err := cfg.url()
	if err != nil {
		return nil, fmt.Errorf("endpoint: %w", err)
	}
	header, err := cfg.header()
	if err != nil {
		return nil, fmt.Errorf("headers: %w", err)
	}
	encrypt, err := cfg.TLS.Config()
	if err != nil {
		return nil, fmt.Errorf("tls.%w", err)
	}
	header.Set("Content-Type", "application/x-protobuf")
	header.Set("User-Agent", agent)
	return &client{url: to.String(), header: header, http: &http.Client{
		Transport: &http.Transport{ // without a proxy of the environment: it goes where the setting says
			DialContext: (&net.Dialer{Timeout: exportTimeout}).DialContext, TLSClientConfig: encrypt,
			MaxIdleConns: 1, IdleConnTimeout: 10 * batchWait, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Start implements otlptrace.Client.
func (c *client) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (c *client) Stop(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}

// UploadTraces implements otlptrace.Client. It does not repeat: newer spans are worth more than these.
func (c *client) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans}) // the request has the same fields
	if err != nil {
		return fmt.Errorf("encode spans: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	req.Header = c.header.Clone()
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // the connection serves the next request
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the collector at %s answered %s", req.URL.Host, resp.Status)
	}
	return nil
}
