package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// A server without a free file descriptor goes on with the connections that it has, and takes new ones when it can again.
func TestOutOfFiles(t *testing.T) {
	t.Parallel()
	s := deploy(t, "GOCHAT_LOG_LEVEL=warn")
	p := s.gateways[0]
	a, b := register(t, s, "alice"), register(t, s, "bob")
	chat, w, heard := single(t, a, b), a.dial(t), b.dial(t)
	lift := p.limit(openFiles, uint64(p.openNow(t)+5)) //nolint:gosec // not negative
	var waiting sync.WaitGroup
	for range 40 {
		waiting.Go(func() { // answered in the end
			c := &http.Client{Transport: &http.Transport{}}
			defer c.CloseIdleConnections()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.address+"/healthz", nil)
			if err != nil {
				t.Error(err)
				return
			}
			resp, err := c.Do(req)
			if err != nil {
				t.Errorf("a client that had to wait: %v", err)
				return
			}
			resp.Body.Close()
		})
	}
	eventually(t, "the server says that it has no descriptor left", func() bool { return strings.Contains(p.log.String(), "too many open files") })
	for i := range 20 {
		w.send(t, fmt.Sprintf(`{"type":"message","data":{"conversation_id":"%s","content":"%d","message_type":"text","client_msg_id":"k%d"}}`, chat, i, i))
		if f, _ := w.until(t, "ack"); num(f.Data, "seq") != int64(i+1) {
			t.Errorf("message %d: %+v", i, f)
		}
		if f, _ := heard.until(t, "message"); str(f.Data, "content") != fmt.Sprint(i) {
			t.Errorf("the peer got %+v", f)
		}
	}
	lift()
	waiting.Wait()
	register(t, s, "carol").dial(t)
}

// metric returns the sum of a metric's series.
func (p *process) metric(t testing.TB, name string) float64 {
	t.Helper()
	resp := get(t, p.privateURL()+"/metrics")
	defer resp.Body.Close()
	sum := 0.0
	for scan := bufio.NewScanner(resp.Body); scan.Scan(); {
		series, value, ok := strings.Cut(scan.Text(), " ")
		if family, _, _ := strings.Cut(series, "{"); !ok || family != name {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += v
	}
	return sum
}

// Clients come and go, politely and not, and nothing of them stays behind.
func TestNothingStaysBehind(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	p := s.gateways[0]
	a, b := register(t, s, "alice"), register(t, s, "bob")
	chat := single(t, a, b)
	come := func() {
		g := group(t, a, nil, b)
		for i := range 10 {
			w := a.dial(t)
			w.send(t, `{"type":"open","data":{"conversation_id":"`+g+`"}}`)
			w.send(t, `{"type":"sync","data":{"conversations":{"`+chat+`":0}}}`)
			switch i % 5 {
			case 0: // cut off
				_ = w.conn.CloseNow()
			case 1: // polite
				_ = w.conn.Close(1000, "")
			case 2: // in the middle of a frame
				x := s.wireSocket(t, "Authorization: Bearer "+a.token+"\r\n")
				if _, err := x.Write([]byte("\x81\xfe\x10\x00")); err != nil {
					t.Fatal(err)
				}
				x.Close()
				_ = w.conn.CloseNow()
			case 3: // a stranger who goes
				_ = s.dial(t, nil).conn.CloseNow()
				_ = w.conn.CloseNow()
			case 4: // in the middle of a request
				s.raw(t, "POST /api/v1/messages/send"+jsonPost+"Authorization: Bearer "+a.token+"\r\nContent-Length: 100\r\n\r\n{").Close()
				_ = w.conn.CloseNow()
			}
			a.say(t, chat, "x")
		}
		other := *a
		other.login(t)
		w := other.dial(t)
		other.must(t, http.MethodPost, "/api/v1/auth/logout", http.StatusNoContent, nil)
		if code, _ := w.closeCode(t); code != 4503 {
			t.Errorf("closed with %d", code)
		}
		a.must(t, http.MethodDelete, "/api/v1/groups/"+g, http.StatusNoContent, nil)
	}
	const others = 8         // goroutines that come and go with connections to other processes; what stays behind of each client is more
	rest := func() float64 { // all that the test itself keeps open is its keep-alive connections
		http.DefaultClient.CloseIdleConnections()
		return p.metric(t, "go_goroutines")
	}
	come()
	var before float64
	eventually(t, "the first clients are gone", func() bool { before = rest(); return p.metric(t, "gochat_gateway_connections") == 0 })
	for range 5 {
		come()
	}
	var after float64
	eventually(t, "all clients are gone", func() bool {
		after = rest()
		return after <= before+others && p.metric(t, "gochat_gateway_connections") == 0
	})
	t.Logf("%v goroutines, then %v; %d descriptors", before, after, p.openNow(t))
}
