package redis_test

import (
	"log/slog"
	"net"
	"testing"

	"github.com/gochat-im/gochat/platform/redis"
	"github.com/gochat-im/gochat/platform/rpc/rpctest"
	"github.com/gochat-im/gochat/platform/secure"
	"github.com/gochat-im/gochat/platform/testenv"
)

func TestTLSAndPassword(t *testing.T) {
	t.Parallel()
	files := rpctest.NewCA(t).Issue(t, "127.0.0.1")
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // binds at once
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	testenv.RedisServer(t, "--tls-port", port, "--tls-ca-cert-file", files.CA, "--tls-cert-file", files.Cert,
		"--tls-key-file", files.Key,
		"--user", "gochat", "on", ">s3cret", "~gochat:*", "&*", "+@all")
	cfg := config("127.0.0.1:"+port, 0)
	cfg.Username, cfg.Password = "gochat", "s3cret"
	cfg.TLS = secure.Client{Enabled: true, CA: files.CA, Cert: files.Cert, Key: files.Key}
	c, _ := open(t, cfg, redis.Options{})
	if err := c.Do(t.Context(), c.B().Set().Key(c.Key("k")).Value("v").Build()).Error(); err != nil {
		t.Error(err)
	}
	for what, spoil := range map[string]func(c *redis.Config){
		"no client certificate": func(c *redis.Config) { c.TLS.Cert, c.TLS.Key = "", "" },
		"an unknown authority":  func(c *redis.Config) { c.TLS.CA = "" },
		"another name":          func(c *redis.Config) { c.TLS.ServerName = "redis.example.org" },
		"without TLS":           func(c *redis.Config) { c.TLS = secure.Client{} },
		"a wrong password":      func(c *redis.Config) { c.Password = "guess" },
	} {
		bad := cfg
		spoil(&bad)
		if c, err := redis.Open(t.Context(), bad, redis.Options{Name: "test"}, slog.New(slog.DiscardHandler), nil); err == nil {
			c.Close()
			t.Errorf("%s: connected", what)
		}
	}
}
