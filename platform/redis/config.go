package redis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"time"
)

// Config are the settings of the connection to Redis.
type Config struct {
	Addresses   []string      `koanf:"addresses"` // HOST:PORT; several are nodes of a cluster
	Username    string        `koanf:"username"`
	Password    string        `koanf:"password"`
	DB          int           `koanf:"db"`
	Prefix      string        `koanf:"prefix"` // of every key
	DialTimeout time.Duration `koanf:"dial_timeout"`
	Timeout     time.Duration `koanf:"timeout"`
	TLS         TLSConfig     `koanf:"tls"`
}

// TLSConfig are the settings of an encrypted connection.
type TLSConfig struct {
	Enabled    bool   `koanf:"enabled"`
	CA         string `koanf:"ca"`   // file; empty: the system's
	Cert       string `koanf:"cert"` // file of the client's certificate
	Key        string `koanf:"key"`  // file
	ServerName string `koanf:"server_name"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Addresses:   []string{"127.0.0.1:6379"},
		Prefix:      "gochat",
		DialTimeout: 2 * time.Second,
		Timeout:     time.Second,
	}
}

var prefix = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// Validate reports the first setting that cannot work, by its name within the section.
func (c Config) Validate() error {
	if len(c.Addresses) == 0 {
		return errors.New("addresses: must not be empty")
	}
	for _, a := range c.Addresses {
		if host, port, err := net.SplitHostPort(a); err != nil || host == "" || port == "" {
			return fmt.Errorf("addresses: %q is not HOST:PORT", a)
		}
	}
	switch {
	case c.Username != "" && c.Password == "":
		return errors.New("password: must not be empty when there is a username")
	case c.DB < 0 || c.DB > 1<<20:
		return errors.New("db: must be 0 to 1,048,576")
	case c.DB != 0 && len(c.Addresses) > 1:
		return errors.New("db: a cluster has only 0")
	case !prefix.MatchString(c.Prefix):
		return errors.New("prefix: must be 1 to 64 letters, digits, - . and _")
	case c.DialTimeout < 10*time.Millisecond || c.DialTimeout > time.Minute:
		return errors.New("dial_timeout: must be 10ms to 1m")
	case c.Timeout < 10*time.Millisecond || c.Timeout > time.Minute:
		return errors.New("timeout: must be 10ms to 1m")
	}
	return c.TLS.validate()
}

func (c TLSConfig) validate() error {
	switch {
	case !c.Enabled && (c.CA != "" || c.Cert != "" || c.Key != "" || c.ServerName != ""):
		return errors.New("tls.enabled: must be true when another setting of tls is given")
	case (c.Cert == "") != (c.Key == ""):
		return errors.New("tls.cert: cert and key go together")
	}
	return nil
}

// build reads the files. Without TLS it returns nil.
func (c TLSConfig) build() (*tls.Config, error) {
	if !c.Enabled {
		return nil, nil //nolint:nilnil // nil is how a plain connection is configured
	}
	built := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("tls.ca: %w", err)
		}
		built.RootCAs = x509.NewCertPool()
		if !built.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca: %s holds no certificate", c.CA)
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("tls.cert: %w", err)
		}
		built.Certificates = []tls.Certificate{pair}
	}
	return built, nil
}
