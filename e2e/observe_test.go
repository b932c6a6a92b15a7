package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// metrics reads every sample of the deployment's private listeners, summed over the processes and over the labels that the
// name leaves out.
func (d *deployment) metrics(t testing.TB) map[string]float64 {
	t.Helper()
	sum := map[string]float64{}
	for _, p := range d.processes {
		scan := bufio.NewScanner(get(t, p.privateURL()+"/metrics").Body)
		for scan.Scan() {
			line := scan.Text()
			if strings.HasPrefix(line, "#") {
				continue
			}
			i := strings.LastIndexByte(line, ' ')
			v, err := strconv.ParseFloat(line[i+1:], 64)
			if err != nil {
				t.Fatalf("metrics: %s", line)
			}
			name, _, labelled := strings.Cut(line[:i], "{")
			sum[name] += v
			if labelled {
				sum[line[:i]] += v
			}
		}
	}
	return sum
}

// Everything that an operator wants to see is measured, and moves with what happens.
func TestMetricsMove(t *testing.T) {
	t.Parallel()
	s := deploy(t, "GOCHAT_GATEWAY_RECEIPTS_EVERY=0s") // they would be deliveries too
	a, b := register(t, s, "alice"), register(t, s, "bob")
	chat := single(t, a, b)
	before := s.metrics(t)
	w, phone := a.dial(t), b.dial(t)
	a.say(t, chat, "over HTTP")
	phone.until(t, "message")
	w.until(t, "message")
	w.send(t, `{"type":"message","data":{"conversation_id":"`+chat+`","content":"over the socket","message_type":"text","client_msg_id":"1"}}`)
	w.until(t, "ack")
	phone.until(t, "message")
	w.send(t, `{"type":"message","data":{"conversation_id":"`+chat+`","content":"","message_type":"text","client_msg_id":"2"}}`)
	w.until(t, "error")
	w.send(t, `{`)
	w.until(t, "error")
	during := s.metrics(t)
	for name, want := range map[string]float64{
		"gochat_gateway_connections":                                                           2,
		"gochat_gateway_users":                                                                 2,
		`gochat_gateway_frames_received_total{type="message"}`:                                 2,
		"gochat_gateway_frames_malformed_total":                                                2, // an empty message, and half a frame
		"gochat_gateway_deliveries_total":                                                      3, // two devices, then one: the sending one has the ack
		"gochat_gateway_ack_seconds_count":                                                     2,
		`gochat_gateway_frames_sent_total{type="message"}`:                                     3,
		`gochat_gateway_frames_sent_total{type="ack"}`:                                         1,
		`gochat_gateway_frames_sent_total{type="error"}`:                                       2,
		"gochat_logic_upstream_wait_seconds_count":                                             1, // a send over HTTP does not wait there
		"gochat_task_persist_wait_seconds_count":                                               2,
		"gochat_logic_messages_admitted_total":                                                 2,
		"gochat_task_persist_batch_messages_sum":                                               2,
		"gochat_task_deliveries_total":                                                         2,
		`gochat_http_requests_total{method="POST",route="/api/v1/messages/send",status="200"}`: 1,
		`gochat_http_request_seconds_count{method="POST",route="/api/v1/messages/send"}`:       1,
	} {
		if got := during[name] - before[name]; got != want {
			t.Errorf("%s went up by %v, want %v", name, got, want)
		}
	}
	for _, name := range []string{ // what has no exact figure
		"gochat_repo_commits_total", "gochat_repo_commit_seconds_count", "gochat_repo_commit_messages_sum", "gochat_cache_hits_total",
	} {
		if during[name] <= before[name] {
			t.Errorf("%s did not go up: %v, then %v", name, before[name], during[name])
		}
	}
	for _, name := range []string{ // what is there from the start, at rest at 0
		"gochat_bus_depth_records", "gochat_bus_oldest_seconds", "gochat_gateway_queued_bytes", "gochat_gateway_dropped_total",
		"gochat_gateway_order_total",
		"gochat_bus_dead_records_total", "gochat_repo_write_queue_length", "gochat_http_in_flight_requests",
	} {
		if got, ok := during[name]; !ok || got != 0 {
			t.Errorf("%s is %v (there: %v), want 0", name, got, ok)
		}
	}
	phone.send(t, `{"type":"ping"}`)
	a.must(t, http.MethodPost, "/api/v1/auth/logout", http.StatusNoContent, nil)
	w.closeCode(t)
	eventually(t, "the close is counted", func() bool {
		after := s.metrics(t)
		return after[`gochat_gateway_closes_total{code="4503"}`] == 1 && after["gochat_gateway_connections"] == 1
	})
}

// One request id follows a message through the log lines of every role.
func TestOneRequestIDThroughEveryRole(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a, b := register(t, s, "alice"), register(t, s, "bob")
	chat := single(t, a, b)
	lines := func(id string) string {
		var found strings.Builder
		for line := range strings.Lines(s.log()) {
			if strings.Contains(line, "request_id="+id) {
				found.WriteString(line)
			}
		}
		return found.String()
	}
	follow := func(way, id string, want ...string) {
		t.Helper()
		eventually(t, way+" is in the log of every role", func() bool {
			log := lines(id)
			for _, message := range want {
				if !strings.Contains(log, message) {
					return false
				}
			}
			return true
		})
	}
	resp := a.call(t, http.MethodPost, "/api/v1/messages/send", map[string]any{"conversation_id": chat, "content": "x", "message_type": "text"})
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("send: %d", resp.StatusCode)
	}
	follow("a send over HTTP", resp.Header.Get("X-Request-Id"), "route=/api/v1/messages/send", "message admitted", "message persisted", "message committed")

	w := a.dial(t)
	w.send(t, `{"type":"message","data":{"conversation_id":"`+chat+`","content":"x","message_type":"text","client_msg_id":"m"}}`)
	w.until(t, "ack")
	id := ""
	eventually(t, "the gateway logs the frame", func() bool {
		for line := range strings.Lines(s.log()) {
			if strings.Contains(line, "message received") {
				_, id, _ = strings.Cut(line, "request_id=")
				id, _, _ = strings.Cut(id, " ")
			}
		}
		return id != ""
	})
	follow("a send over the socket", id, "message received", "message admitted", "message persisted", "message committed")
}

// The cost of a message does not grow with the members who are not online: what the server does for one is counted in a small
// group and in one of ten times as many, with the same members online.
func TestLargeGroupCost(t *testing.T) {
	t.Parallel()
	s := deploy(t, "GOCHAT_DELIVERY_LARGE_GROUP_THRESHOLD=4")
	owner := register(t, s, "owner")
	online := []*account{register(t, s, "online1"), register(t, s, "online2")}
	var sockets []*socket
	for _, m := range online {
		sockets = append(sockets, m.dial(t))
	}
	var offline []*account
	for i := range 60 {
		offline = append(offline, register(t, s, fmt.Sprint("offline", i)))
	}
	small := group(t, owner, nil, append(offline[:4:4], online...)...)
	large := group(t, owner, nil, append(offline[:60:60], online...)...)
	const messages = 20
	atRest := func() (m map[string]float64) { // what sockets have may not be counted yet
		eventually(t, "all records are done", func() bool {
			m = s.metrics(t)
			return m[`gochat_bus_depth_records{topic="im-persist-topic"}`] == 0
		})
		return m
	}
	cost := func(g string) map[string]float64 {
		owner.say(t, g, "the first fills the caches")
		for _, w := range sockets {
			for f, _ := w.until(t, "message"); str(f.Data, "conversation_id") != g; f, _ = w.until(t, "message") {
			}
		}
		before := atRest()
		for i := range messages {
			owner.say(t, g, fmt.Sprint(i))
			for _, w := range sockets {
				w.until(t, "message")
			}
		}
		after, cost := atRest(), map[string]float64{}
		for _, name := range []string{
			"gochat_gateway_deliveries_total", "gochat_task_deliveries_total", "gochat_repo_commit_messages_sum", "gochat_cache_misses_total",
			`gochat_bus_handled_records_total{topic="im-persist-topic"}`,
		} {
			cost[name] = after[name] - before[name]
		}
		return cost
	}
	ofSmall, ofLarge := cost(small), cost(large)
	const caches = 4 // each process fills its own at some moment
	for name, of := range ofSmall {
		if ofLarge[name] > of+caches {
			t.Errorf("%s: %v in a group of 7, %v in a group of 63", name, of, ofLarge[name])
		}
	}
	if got := ofLarge["gochat_gateway_deliveries_total"]; got != messages*float64(len(sockets)) {
		t.Errorf("%v deliveries of %d messages to %d sockets", got, messages, len(sockets))
	}
}
