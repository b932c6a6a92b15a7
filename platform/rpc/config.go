package rpc

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// Config says how the processes of one deployment trust each other: by a shared secret, by certificates of one
// authority on both sides (mTLS), or by both.
type Config struct {
	Secret     string // sent with every call; without TLS it can be read on the way, so the network must be trusted
	AlsoAccept string // a second secret that callers may send, while it is being changed; empty: none
	TLS        TLSConfig
	Reflection bool // serve gRPC reflection, to those that may call
	// MaxMessageBytes bounds one request or answer; 0: DefaultMaxMessageBytes.
	MaxMessageBytes int
}

// DefaultMaxMessageBytes holds the largest batch of messages at their largest size.
const DefaultMaxMessageBytes = 32 << 20

// TLSConfig names PEM files. They are read once, at start.
type TLSConfig struct {
	Cert string `koanf:"cert"`
	Key  string `koanf:"key"`
	CA   string `koanf:"ca"` // signed every peer's certificate
	// ServerName is what a peer's certificate must be for, whatever its address; empty: the host of its address.
	ServerName string `koanf:"server_name"`
}

func (t TLSConfig) set() bool { return t.Cert != "" || t.Key != "" || t.CA != "" }

const (
	minSecret   = 32
	minDistinct = 10
)

// Validate reports what is missing or too weak to trust a peer by, by its name in the settings.
func (c Config) Validate() error {
	if c.Secret == "" && !c.TLS.set() {
		return errors.New("secret: without it (or roles.tls) anybody could call: set it to the same in every process, for example to the output of `openssl rand -base64 32`")
	}
	if c.Secret == "" && c.AlsoAccept != "" {
		return errors.New("also_accept: is for changing roles.secret, which is not set")
	}
	for _, s := range []struct{ name, value string }{{"secret", c.Secret}, {"also_accept", c.AlsoAccept}} {
		if s.value == "" {
			continue
		}
		if err := checkSecret(s.value); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if c.TLS.set() {
		for _, f := range []struct{ name, value string }{{"cert", c.TLS.Cert}, {"key", c.TLS.Key}, {"ca", c.TLS.CA}} {
			if f.value == "" {
				return fmt.Errorf("tls.%s: must be set with the rest of roles.tls", f.name)
			}
		}
	}
	return nil
}

// checkSecret never repeats the secret in its error.
func checkSecret(secret string) error {
	distinct := map[rune]struct{}{}
	for _, r := range secret {
		if r <= ' ' || r > '~' {
			return errors.New("may hold printable ASCII only")
		}
		distinct[r] = struct{}{}
	}
	if len(secret) < minSecret || len(distinct) < minDistinct {
		return fmt.Errorf("is too weak: it needs at least %d characters, %d of them different (`openssl rand -base64 32`)", minSecret, minDistinct)
	}
	return nil
}

// Credentials prove this process to its peers and check what they send. They never appear in a log.
type Credentials struct {
	cfg     Config
	accepts [][sha256.Size]byte              // of callers' secrets
	server  credentials.TransportCredentials // nil: plaintext
	client  credentials.TransportCredentials
}

// Credentials checks the settings and reads the certificates. Errors start with the setting's name, below roles.
func (c Config) Credentials() (*Credentials, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.MaxMessageBytes == 0 {
		c.MaxMessageBytes = DefaultMaxMessageBytes
	}
	out := &Credentials{cfg: c, client: insecure.NewCredentials()}
	for _, secret := range []string{c.Secret, c.AlsoAccept} {
		if secret != "" {
			out.accepts = append(out.accepts, sha256.Sum256([]byte(secret)))
		}
	}
	if !c.TLS.set() {
		return out, nil
	}
	cert, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key)
	if err != nil {
		return nil, fmt.Errorf("tls.cert: %w", err)
	}
	raw, err := os.ReadFile(c.TLS.CA)
	if err != nil {
		return nil, fmt.Errorf("tls.ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("tls.ca: %s holds no certificate", c.TLS.CA)
	}
	out.server = credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
	})
	out.client = credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, RootCAs: pool, ServerName: c.TLS.ServerName,
	})
	return out, nil
}
