package gateway

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/gochat-im/gochat/platform/errs"
)

// checkHandshake refuses what is no opening handshake (RFC 6455, section
// 4.2.1): the library would refuse it too, but in a shape of its own.
func checkHandshake(r *http.Request) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(r.Header.Get("Sec-WebSocket-Key")))
	switch {
	case !hasToken(r.Header, "Upgrade", "websocket"), !hasToken(r.Header, "Connection", "Upgrade"), !r.ProtoAtLeast(1, 1):
		return errs.New(errs.Invalid, "this address speaks WebSocket: an upgrade is expected")
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		return errs.InvalidField("Sec-WebSocket-Version", "must be 13")
	case len(r.Header.Values("Sec-WebSocket-Key")) != 1 || err != nil || len(key) != 16:
		return errs.InvalidField("Sec-WebSocket-Key", "must be 16 bytes in base64")
	case r.ContentLength != 0:
		return errs.InvalidField("body", "an upgrade takes none")
	}
	return nil
}

// hasToken reports whether a header that lists tokens holds one, in any case.
func hasToken(h http.Header, name, token string) bool {
	return slices.ContainsFunc(h.Values(name), func(v string) bool {
		return slices.ContainsFunc(strings.Split(v, ","), func(t string) bool { return strings.EqualFold(strings.TrimSpace(t), token) })
	})
}
