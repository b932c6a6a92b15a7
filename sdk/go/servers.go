package gochat

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
)

// servers are the base URLs of one deployment: its gateways, or balancers
// before them. One is in use until it fails.
type servers struct {
	urls []string
	used atomic.Uint32 // counts on; modulo the number of URLs
}

// add checks a base URL and appends it.
func (s *servers) add(baseURL string) error {
	u, err := url.Parse(baseURL)
	if err != nil {
		return fmt.Errorf("gochat: base URL: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("gochat: base URL must look like https://host, not %q", baseURL)
	}
	s.urls = append(s.urls, strings.TrimRight(u.String(), "/"))
	return nil
}

// current returns the base URL in use, and what leave needs to know of it.
func (s *servers) current() (baseURL string, at uint32) {
	at = s.used.Load()
	return s.urls[int(at)%len(s.urls)], at
}

// leave goes on to the next server, because the one that current told of failed.
// However many calls fail there at once, it goes on by one.
func (s *servers) leave(at uint32) { s.used.CompareAndSwap(at, at+1) }

// tries is how often a call may be made: on every server once when it can be
// repeated without harm.
func (s *servers) tries(method string) int {
	if method == http.MethodGet {
		return len(s.urls)
	}
	return 1
}
