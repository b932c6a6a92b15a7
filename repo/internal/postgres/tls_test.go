package postgres

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/gochat-im/gochat/platform/rpc/rpctest"
	"github.com/gochat-im/gochat/platform/testenv"
)

// TestVerifyFull reaches a database over TLS when its certificate is of the authority and for the host that the URL
// names, and not otherwise.
func TestVerifyFull(t *testing.T) {
	t.Parallel()
	authority, other := rpctest.NewCA(t), rpctest.NewCA(t)
	own, foreign := authority.Issue(t, "127.0.0.1"), other.Issue(t, "127.0.0.1")
	plain := testenv.SecurePostgresServer(t, own.Cert, own.Key).URL()
	at := func(host, ca string) string {
		url := strings.Replace(plain, "sslmode=disable", "sslmode=verify-full&sslrootcert="+ca, 1)
		return strings.Replace(url, "127.0.0.1", host, 1)
	}
	s := openAt(t, testOptions(at("127.0.0.1", own.CA)))
	var encrypted bool
	err := s.pool.QueryRow(t.Context(), "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").Scan(&encrypted)
	if err != nil || !encrypted {
		t.Errorf("encrypted: %v, %v", encrypted, err)
	}
	for name, url := range map[string]string{
		"another authority": at("127.0.0.1", foreign.CA),
		"another host":      at("localhost", own.CA),
		"no such file":      at("127.0.0.1", own.CA+".not"),
	} {
		_, err := Open(context.WithoutCancel(t.Context()), testOptions(url), slog.New(slog.DiscardHandler), nil)
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q", name, err)
		}
	}
}
