// Package secure holds the settings of encrypted connections to servers that
// this program uses.
package secure

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// Client are the settings of encrypted connections. The zero value is plain ones.
type Client struct {
	Enabled    bool   `koanf:"enabled"`
	CA         string `koanf:"ca"`   // file of the authorities to trust; empty: the system's
	Cert       string `koanf:"cert"` // file of this client's certificate, where servers ask for one
	Key        string `koanf:"key"`  // file of its key
	ServerName string `koanf:"server_name"`
}

// Validate reports the first setting that cannot work, by its name within the section tls.
func (c Client) Validate() error {
	switch {
	case !c.Enabled && c != (Client{}):
		return errors.New("enabled: must be true when another setting of tls is given")
	case (c.Cert == "") != (c.Key == ""):
		return errors.New("cert: cert and key go together")
	}
	return nil
}

// Config reads the files. It is nil for plain connections, which is how libraries take it. Errors begin as those of
// Validate.
func (c Client) Config() (*tls.Config, error) {
	if !c.Enabled {
		return nil, nil //nolint:nilnil // as documented
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca: %s holds no certificate", c.CA)
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("cert: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
