package redis

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"time"

	"github.com/gochat-im/gochat/platform/secure"
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
	TLS         secure.Client `koanf:"tls"`
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
	if err := c.TLS.Validate(); err != nil {
		return fmt.Errorf("tls.%w", err)
	}
	return nil
}
