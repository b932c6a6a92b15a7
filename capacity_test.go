package main

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// The costs that docs/benchmarks.md measured, which docs/capacity.md counts with.
const (
	costSend      = 46.3   // µs of GoChat's CPU a message in a split deployment, saturated
	costGateway   = 22.2   // of it: both gateways
	costLogic     = 8.9    // of it
	costTask      = 8.5    // of it
	costRepo      = 6.8    // of it
	costPostgres  = 8.1    // µs a message
	costKafka     = 25.0   // µs a message, one replica
	costRedis     = 0.7    // µs a message
	costDelivery  = 13.3   // µs a delivery that is a system call of its own
	costConnect   = 159.0  // µs a connect
	costIdle      = 4.6e-6 // cores a connection that pings every 20 s
	costMemory    = 11.3   // KiB of the process a connection
	bytesRow      = 356    // in PostgreSQL, indexes included, of a message of about 60 bytes
	costlierAtLow = 2.0    // the costs are of full batches: at half the load a message costs about so much more
)

// demand is what users do in their busiest hour.
type demand struct {
	users       float64 // connected at once
	devices     float64 // of a user
	sends       float64 // messages a second of a user
	receivers   float64 // devices that a message reaches
	reconnectIn float64 // seconds within which all have come back after an outage
}

// TestCapacity recomputes the table of docs/capacity.md.
func TestCapacity(t *testing.T) {
	t.Parallel()
	doc := readFile(t, "docs/capacity.md")
	million := demand{users: 1e6, devices: 1.3, sends: 0.01, receivers: 20, reconnectIn: 300}
	connections := million.users * million.devices
	sends := million.users * million.sends
	deliveries := sends * million.receivers
	cores := func(perSecond, micros float64) float64 { return perSecond * micros / 1e6 }
	if sum := costGateway + costLogic + costTask + costRepo; math.Abs(sum-costSend) > 0.2 {
		t.Errorf("the roles' parts make %.1f µs, not %.1f", sum, costSend)
	}
	for _, row := range []struct {
		what   string
		value  float64
		format string
	}{
		{"connections", connections / 1e6, "%.1f million"},
		{"messages", sends, "%.0f/s"},
		{"deliveries", deliveries, "%.0f/s"},
		{"gateways, memory of the connections", connections * costMemory / 1024 / 1024, "%.1f GiB"},
		{"gateways, pings", connections * costIdle, "%.1f cores"},
		{"gateways, messages", costlierAtLow * cores(sends, costGateway), "%.1f cores"},
		{"gateways, deliveries", cores(deliveries, costDelivery), "%.1f cores"},
		{"gateways, everybody comes back", cores(connections/million.reconnectIn, costConnect), "%.1f cores"},
		{"logic", costlierAtLow * cores(sends, costLogic), "%.2f cores"},
		{"task", costlierAtLow * cores(sends, costTask), "%.2f cores"},
		{"repo", costlierAtLow * cores(sends, costRepo), "%.2f cores"},
		{"PostgreSQL", costlierAtLow * cores(sends, costPostgres), "%.2f cores"},
		{"PostgreSQL, a day of 8 busy hours", sends * 8 * 3600 * bytesRow / (1 << 30), "%.0f GiB"},
		{"Kafka, three replicas", 3 * costlierAtLow * cores(sends, costKafka), "%.1f cores"},
		{"Redis", costlierAtLow * cores(sends, costRedis), "%.2f cores"},
	} {
		want := fmt.Sprintf("| %s | "+row.format+" |", row.what, row.value)
		if !strings.Contains(doc, want) {
			t.Errorf("docs/capacity.md lacks %q", want)
		}
	}
	figures := readFile(t, "docs/benchmarks.md")
	for _, measured := range []string{"46.3 µs", "22.2, logic 8.9, task 8.5 and repo 6.8", "8.1 µs", "25.0 µs", "0.7 µs", "13.3 µs", "159 µs", "4.6 %", "11.3 KiB"} {
		if !strings.Contains(figures, measured) {
			t.Errorf("docs/benchmarks.md measured no %q any more: count docs/capacity.md anew", measured)
		}
	}
}
