package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/gochat-im/gochat/bench/internal/latency"
)

// report is the outcome of a measurement: figures in the order in which they
// are printed.
type report struct {
	Name    string   `json:"name"`
	Figures []figure `json:"figures"`
}

// figure is one number. Floor is what the bare library reaches at the same work
// in the same run, when it was measured.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Floor float64 `json:"floor,omitempty"`
}

func (r *report) add(name string, value float64, unit string) {
	r.Figures = append(r.Figures, figure{Name: name, Value: value, Unit: unit})
}

func (r *report) latencies(name string, h *latency.Histogram) {
	for _, p := range []float64{50, 90, 99, 99.9} {
		r.add(fmt.Sprintf("%s p%v", name, p), milliseconds(h.Percentile(p)), "ms")
	}
	r.add(name+" max", milliseconds(h.Max()), "ms")
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// floors takes the figures of the bare library over as floors of the figures of
// the same name.
func (r *report) floors(bare *report) {
	for _, b := range bare.Figures {
		for i := range r.Figures {
			if r.Figures[i].Name == b.Name {
				r.Figures[i].Floor = b.Value
			}
		}
	}
}

func (r *report) write(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	hasFloor := false
	for _, f := range r.Figures {
		hasFloor = hasFloor || f.Floor != 0
	}
	fmt.Fprintf(w, "%s\n", r.Name)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	if hasFloor {
		fmt.Fprintln(t, "\tgochat\tfloor\tratio\t\t")
	}
	for _, f := range r.Figures {
		fmt.Fprintf(t, "  %s\t%s\t", f.Name, number(f.Value))
		if hasFloor && f.Floor != 0 {
			fmt.Fprintf(t, "%s\t%.2f\t", number(f.Floor), f.Value/f.Floor)
		} else if hasFloor {
			fmt.Fprint(t, "\t\t")
		}
		fmt.Fprintf(t, "%s\t\n", f.Unit)
	}
	return t.Flush()
}

func number(v float64) string {
	switch {
	case v == float64(int64(v)):
		return fmt.Sprintf("%d", int64(v))
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.3f", v)
}
