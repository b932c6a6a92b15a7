package trace

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/gochat-im/gochat/platform/secure"
)

// Config are the settings of traces.
type Config struct {
	Endpoint string        `koanf:"endpoint"` // URL of a collector that speaks OTLP over HTTP; empty: no traces
	Sample   float64       `koanf:"sample"`   // share of the requests that begin a trace here
	Headers  []string      `koanf:"headers"`  // name=value, sent to the collector
	TLS      secure.Client `koanf:"tls"`
}

// DefaultConfig returns the defaults: no traces.
func DefaultConfig() Config { return Config{Sample: 0.01} }

// Enabled reports whether there are traces.
func (c Config) Enabled() bool { return c.Endpoint != "" }

// Validate names the first setting that cannot work.
func (c Config) Validate() error {
	if !(c.Sample >= 0 && c.Sample <= 1) { // NaN too
		return errors.New("sample: must be 0 to 1")
	}
	if _, err := c.header(); err != nil {
		return fmt.Errorf("headers: %w", err)
	}
	if err := c.TLS.Validate(); err != nil {
		return fmt.Errorf("tls.%w", err)
	}
	if !c.Enabled() {
		return nil
	}
	to, err := c.url()
	if err != nil {
		return fmt.Errorf("endpoint: %w", err)
	}
	if c.TLS.Enabled && to.Scheme != "https" {
		return errors.New("tls.enabled: the endpoint is not https://…")
	}
	return nil
}

// defaultPath is where collectors take spans: https://opentelemetry.io/docs/specs/otlp/#otlphttp-request.
const defaultPath = "/v1/traces"

func (c Config) url() (*url.URL, error) {
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("must be a URL such as http://collector:4318") // not repeated: it may hold a password
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = defaultPath
	}
	return u, nil
}

func (c Config) header() (http.Header, error) {
	h := http.Header{}
	for _, entry := range c.Headers {
		name, value, ok := strings.Cut(entry, "=")
		if !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, errors.New("each must be name=value") // not repeated: it may hold a key
		}
		h.Add(name, value)
	}
	return h, nil
}
