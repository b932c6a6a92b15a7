package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"

	"github.com/gochat-im/gochat/bench/internal/rawws"
)

// A floor is what the bare library reaches at the same work, on the same
// machine, in the same run: the part of a figure that is not ours.

// spawnFloor starts the bare WebSocket server as a child of the same binary.
func spawnFloor(ctx context.Context) (*world, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	s := &server{url: "http://" + address, hosts: []string{address}}
	s.cmd = exec.Command(self, "bench", floorServerName, "--listen", address) //nolint:noctx // stopped by signal, politely
	return &world{server: s}, s.run(ctx, s.url+"/readyz")
}

// bareAccounts are accounts for a server that asks for none.
func bareAccounts(n int) []account { return make([]account, n) }

func (o idleOptions) idleFloor(ctx context.Context) (*report, error) {
	w, err := spawnFloor(ctx)
	if err != nil {
		return nil, fmt.Errorf("floor: %w", err)
	}
	r := &report{Name: "floor"}
	err = o.hold(ctx, w.server, r, func(ctx context.Context) ([]*rawws.Conn, error) {
		return w.dialAll(ctx, bareAccounts(o.Connections), 2<<10)
	})
	return r, w.finish(err)
}

func (o fanoutOptions) fanoutFloor(ctx context.Context) (*report, error) {
	w, err := spawnFloor(ctx)
	if err != nil {
		return nil, fmt.Errorf("floor: %w", err)
	}
	w.Accounts, w.Groups = bareAccounts(o.Senders+o.Members), []string{"1"}
	r := &report{Name: "floor"}
	return r, w.finish(o.measureFanout(ctx, w, r))
}
