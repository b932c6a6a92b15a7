package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// addresses tells who a request comes from: the peer, or the client that a
// trusted proxy names.
type addresses struct{ trusted []netip.Prefix }

func newAddresses(trusted []string) addresses { return addresses{trusted: parsePrefixes(trusted)} }

// parsePrefixes parses CIDRs that a Validate has seen.
func parsePrefixes(cidrs []string) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(cidrs))
	for _, c := range cidrs {
		if p, err := netip.ParsePrefix(c); err == nil {
			out = append(out, p.Masked())
		}
	}
	return out
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

func parseAddress(s string) (netip.Addr, bool) {
	if host, _, err := net.SplitHostPort(s); err == nil {
		s = host
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return a.Unmap().WithZone(""), err == nil
}

// fromProxy reports whether the peer of a connection is a trusted proxy.
func (a addresses) fromProxy(r *http.Request) bool {
	peer, ok := parseAddress(r.RemoteAddr)
	return ok && contains(a.trusted, peer)
}

// client returns the address of the client: the last one of X-Forwarded-For
// that no trusted proxy vouches for by being one, so that what a stranger
// wrote there is never believed.
func (a addresses) client(r *http.Request) string {
	peer, ok := parseAddress(r.RemoteAddr)
	if !ok {
		return r.RemoteAddr
	}
	if !contains(a.trusted, peer) {
		return peer.String()
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		next, ok := parseAddress(strings.TrimSpace(hop))
		if !ok {
			break
		}
		if peer = next; !contains(a.trusted, peer) {
			break
		}
	}
	return peer.String()
}

// clientAddress returns the address that a request comes from, for limits and for logic.
func (s *Server) clientAddress(r *http.Request) string {
	address := s.http.addresses.client(r)
	if r.Header.Get("X-Forwarded-For") != "" {
		s.warnOfProxy(r)
	}
	return address
}

// warnOfProxy tells an operator once that a proxy of theirs is not believed:
// then all its clients are one to the limits, or exempt from them.
func (s *Server) warnOfProxy(r *http.Request) {
	peer, ok := parseAddress(r.RemoteAddr)
	if !ok || contains(s.http.addresses.trusted, peer) || !peer.IsLoopback() && !peer.IsPrivate() {
		return
	}
	if s.http.proxyWarned.CompareAndSwap(false, true) {
		s.log.WarnContext(r.Context(), "X-Forwarded-For from an address that gateway.http.trusted_proxies does not name: "+
			"if it is a proxy, limits per address do not tell its clients apart", "address", peer.String())
	}
}
