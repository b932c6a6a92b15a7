package bench

import (
	"errors"
	"time"
)

// meter tells what a load reached between the end of its warm-up and its end,
// and what that cost.
type meter struct {
	server  *server
	watched []processes
	count   func() int64 // what has been done so far

	began, ended reading
	err          error
}

type reading struct {
	at      time.Time
	count   int64
	server  time.Duration   // CPU of a server of the bench's own
	bench   time.Duration   // CPU of this process
	watched []time.Duration // CPU of the flag's processes
}

func (l *load) meter(s *server, count func() int64) (*meter, error) {
	watched, err := parseProcesses(l.Processes)
	return &meter{server: s, watched: watched, count: count}, err
}

func (m *meter) begin() { m.began = m.read() }

func (m *meter) end() { m.ended = m.read() }

func (m *meter) read() reading {
	u, err := m.server.usage()
	watched, err2 := cpuOf(m.watched)
	m.err = errors.Join(m.err, err, err2)
	return reading{at: time.Now(), count: m.count(), server: u.CPU, bench: ownCPU(), watched: watched}
}

func (m *meter) took() time.Duration { return m.ended.at.Sub(m.began.at) }

// done is how much was done, and how much of it a second.
func (m *meter) done() (count int64, perSecond float64) {
	count = m.ended.count - m.began.count
	return count, float64(count) / m.took().Seconds()
}

// tell adds the CPU for each of what was counted, a "message" or a "delivery".
func (m *meter) tell(r *report, what string) {
	count, _ := m.done()
	if count == 0 {
		return
	}
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 / float64(count) }
	if used := m.ended.server - m.began.server; used > 0 {
		r.add("server CPU a "+what, each(used), "µs")
		r.add("server CPU", 100*used.Seconds()/m.took().Seconds(), "%")
	}
	for i, p := range m.watched {
		r.add("CPU a "+what+": "+p.name, each(m.ended.watched[i]-m.began.watched[i]), "µs")
	}
	r.add("client CPU a "+what, each(m.ended.bench-m.began.bench), "µs")
}
