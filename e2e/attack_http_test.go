package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// raw writes bytes to a connection of its own, whatever they are.
func (s *deployment) raw(t testing.TB, request string) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.gateway().address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	return c
}

// ends reads until the server has closed a connection and returns what it had said.
func ends(t testing.TB, c net.Conn, within time.Duration) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the server holds the connection for more than %v, having said %q", within, said)
	}
	return string(said) // a reset is an end too
}

const jsonPost = " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

// What net/http and the WebSocket library refuse before a handler of ours sees it has the one shape of errors too.
func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	const upgrade = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\n"
	const key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	for name, c := range map[string]struct {
		request string
		status  int
		code    int64
	}{
		"no request":              {"NONSENSE\r\n\r\n", http.StatusBadRequest, 1001},
		"a malformed header":      {"GET /healthz HTTP/1.1\r\nHost x\r\n\r\n", http.StatusBadRequest, 1001},
		"a space before a colon":  {"GET /healthz HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", http.StatusBadRequest, 1001},
		"no host":                 {"GET /healthz HTTP/1.1\r\n\r\n", http.StatusBadRequest, 1001},
		"a malformed host":        {"GET /healthz HTTP/1.1\r\nHost: x y\r\n\r\n", http.StatusBadRequest, 1001},
		"two hosts":               {"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", http.StatusBadRequest, 1001},
		"a huge header":           {"GET /healthz HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("x", 30_000) + "\r\n\r\n", http.StatusRequestHeaderFieldsTooLarge, 1008},
		"a huge path":             {"GET /" + strings.Repeat("x", 30_000) + " HTTP/1.1\r\nHost: x\r\n\r\n", http.StatusRequestHeaderFieldsTooLarge, 1008},
		"HTTP 3":                  {"GET /healthz HTTP/3.0\r\nHost: x\r\n\r\n", http.StatusHTTPVersionNotSupported, 1001},
		"a NUL in a header":       {"GET /healthz HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n", http.StatusBadRequest, 1001},
		"two lengths":             {"POST /api/v1/auth/login" + jsonPost + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", http.StatusBadRequest, 1001},
		"a negative length":       {"POST /api/v1/auth/login" + jsonPost + "Content-Length: -1\r\n\r\n", http.StatusBadRequest, 1001},
		"a signed length":         {"POST /api/v1/auth/login" + jsonPost + "Content-Length: +2\r\n\r\n{}", http.StatusBadRequest, 1001},
		"an unknown encoding":     {"POST /api/v1/auth/login" + jsonPost + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", http.StatusNotImplemented, 1001},
		"a malformed chunk":       {"POST /api/v1/auth/login" + jsonPost + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", http.StatusBadRequest, 1001},
		"an expectation":          {"POST /api/v1/auth/login" + jsonPost + "Expect: the-unexpected\r\nContent-Length: 2\r\n\r\n{}", http.StatusExpectationFailed, 1001},
		"all options":             {"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", http.StatusNotFound, 1003},
		"a proxy's request":       {"CONNECT evil.example:80 HTTP/1.1\r\nHost: evil.example:80\r\nConnection: close\r\n\r\n", http.StatusNotFound, 1003},
		"trace":                   {"TRACE /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", http.StatusMethodNotAllowed, 1010},
		"a path outside":          {"GET /docs/../../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", http.StatusNotFound, 1003},
		"an escaped path outside": {"GET /docs/..%2f..%2f..%2fetc%2fpasswd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", http.StatusNotFound, 1003},
		"HTTP/2 in plain":         {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", http.StatusMethodNotAllowed, 1010},
		"no upgrade":              {"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", http.StatusBadRequest, 1001},
		"an upgrade of HTTP 1.0":  {strings.Replace(upgrade, "HTTP/1.1", "HTTP/1.0", 1) + "Sec-WebSocket-Version: 13\r\n" + key + "\r\n", http.StatusBadRequest, 1001},
		"no WebSocket version":    {upgrade + key + "\r\n", http.StatusBadRequest, 1001},
		"no WebSocket key":        {upgrade + "Sec-WebSocket-Version: 13\r\n\r\n", http.StatusBadRequest, 1001},
		"a short WebSocket key":   {upgrade + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n\r\n", http.StatusBadRequest, 1001},
		"an upgrade with a body":  {upgrade + "Sec-WebSocket-Version: 13\r\n" + key + "Content-Length: 2\r\n\r\n{}", http.StatusBadRequest, 1001},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := s.raw(t, c.request)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var answer map[string]any
			if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
				t.Fatalf("%d, and not JSON: %v", resp.StatusCode, err)
			}
			if resp.StatusCode != c.status || num(answer, "code") != c.code || str(answer, "message") == "" || answer["details"] == nil ||
				str(answer, "request_id") == "" || str(answer, "request_id") != resp.Header.Get("X-Request-Id") ||
				resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d %v %v, want %d and %d in the one shape", resp.StatusCode, resp.Header, answer, c.status, c.code)
			}
		})
	}
}

// A proxy in front and the server must agree where a request ends: a length beside chunks is not believed, and what
// follows a request that was refused with its body unread is not taken for the next one.
func TestRequestsAreNotSmuggled(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	const smuggled = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, request := range map[string]string{
		"a body over the limit":  "POST /api/v1/auth/login" + jsonPost + "Content-Length: 100000\r\n\r\n" + smuggled,
		"a body that is no JSON": "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 60\r\n\r\n" + smuggled,
		"a chunk that ends late": "POST /api/v1/auth/login" + jsonPost + "Transfer-Encoding: chunked\r\n\r\n" + "40\r\n" + smuggled,
		"an unknown encoding":    "POST /api/v1/auth/login" + jsonPost + "Transfer-Encoding: identity\r\n\r\n" + smuggled,
		"a bare line feed":       "POST /api/v1/auth/login" + jsonPost + "Transfer-Encoding: chunked\r\n\r\n0\n\n" + smuggled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := s.raw(t, request)
			if err := c.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if said := ends(t, c, 20*time.Second); strings.Count(said, "HTTP/1.1 ") != 1 || strings.Contains(said, `"status":"ok"`) {
				t.Errorf("answered: %q", said)
			}
		})
	}
}

// Nobody keeps a connection by being slow: not with a header, not with a body, whether a handler reads it or not.
func TestSlowRequestsEnd(t *testing.T) {
	t.Parallel()
	s := deploy(t, "GOCHAT_GATEWAY_HTTP_READ_HEADER_TIMEOUT=500ms", "GOCHAT_GATEWAY_HTTP_BODY_TIMEOUT=500ms",
		"GOCHAT_GATEWAY_HTTP_REQUEST_TIMEOUT=2s", "GOCHAT_GATEWAY_HTTP_SEND_TIMEOUT=2s", "GOCHAT_GATEWAY_HTTP_IDLE_TIMEOUT=1s")
	a := register(t, s, "alice")
	token := "Authorization: Bearer " + a.token + "\r\n"
	for name, c := range map[string]struct{ request, want string }{
		"a header that does not end":   {"GET /healthz HTTP/1.1\r\nHost: x\r\n", ""},
		"nothing at all":               {"", ""},
		"a connection that is idle":    {"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200"},
		"a body that a call wants":     {"POST /api/v1/auth/login" + jsonPost + "Content-Length: 100\r\n\r\n{", "HTTP/1.1 408"},
		"chunks that a call wants":     {"POST /api/v1/auth/login" + jsonPost + "Transfer-Encoding: chunked\r\n\r\n5\r\n{", "HTTP/1.1 408"},
		"a body of a stranger":         {"PUT /api/v1/users/profile" + jsonPost + "Content-Length: 100\r\n\r\n{", "HTTP/1.1 401"},
		"a body that nobody wants":     {"POST /nothing" + jsonPost + "Content-Length: 100\r\n\r\n", "HTTP/1.1 404"},
		"a body that is too large":     {"PUT /api/v1/users/profile" + jsonPost + token + "Content-Length: 100000\r\n\r\n{", "HTTP/1.1 413"},
		"a body of a GET":              {"GET /api/v1/users/profile" + jsonPost + token + "Content-Length: 100\r\n\r\n{", "HTTP/1.1 408"},
		"a body of the page":           {"GET /docs" + jsonPost + "Content-Length: 100\r\n\r\n", "HTTP/1.1 200"},
		"a body of an upgrade":         {"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 400"},
		"a WebSocket of half a header": {"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said := ends(t, s.raw(t, c.request), 15*time.Second)
			if !strings.HasPrefix(said, c.want) || c.want == "" && said != "" {
				t.Errorf("answered %q, want %q", said, c.want)
			}
		})
	}
	a.must(t, http.MethodGet, "/api/v1/users/profile", http.StatusOK, nil)
}
