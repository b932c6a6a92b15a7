package sqlite

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/gochat-im/gochat/repo/internal/sqlstore"
)

const (
	// checkpointPages of write-ahead log start a checkpoint beside the writer.
	checkpointPages = 12_000
	// finishPages of log make the writer copy the rest itself, a pause of some
	// milliseconds: only when all is copied does the log start anew.
	finishPages = 24_000
)

// checkpointer moves pages from the write-ahead log into the database on its
// own connection, so that no commit waits for it.
type checkpointer struct {
	c    *conn
	log  *slog.Logger
	m    *checkpointMetrics
	wake chan struct{}
	done chan struct{}

	finish atomic.Bool // the writer is to copy the rest

	written int64 // the writer's own: pages written by the time of the last wake
}

func startCheckpointer(path string, log *slog.Logger, m *checkpointMetrics) (*checkpointer, error) {
	c, err := openConn(path, false)
	if err != nil {
		return nil, err
	}
	if err := configure(c, 1<<20, "PRAGMA synchronous=FULL", "PRAGMA wal_autocheckpoint=0"); err != nil {
		c.close()
		return nil, err
	}
	k := &checkpointer{c: c, log: log, m: m, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go k.run()
	return k, nil
}

func (k *checkpointer) stop() {
	close(k.wake)
	<-k.done
	k.c.close()
}

func (k *checkpointer) run() {
	defer close(k.done)
	for range k.wake {
		if k.checkpoint(k.c) >= finishPages {
			k.finish.Store(true)
		}
	}
}

// wrote is told by the writer after each of its transactions.
func (k *checkpointer) wrote(c *conn) {
	if k.finish.CompareAndSwap(true, false) {
		k.checkpoint(c)
	}
	written := c.pagesWritten()
	if written-k.written < checkpointPages {
		return
	}
	k.written = written
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func (k *checkpointer) checkpoint(c *conn) (pages int64) {
	start := time.Now()
	err := c.Query("PRAGMA wal_checkpoint(PASSIVE)", func(r sqlstore.Row) error {
		pages = r.Int64(1)
		return nil
	})
	if err != nil {
		k.log.Warn("checkpointing the write-ahead log", "error", err)
		return 0
	}
	k.m.seconds.Observe(time.Since(start).Seconds())
	k.m.pages.Set(float64(pages))
	return pages
}
