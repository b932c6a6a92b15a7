package repo

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/gochat-im/gochat/platform/cache"
	"github.com/gochat-im/gochat/platform/errs"
)

// senderKey is the codec of senders as keys.
var senderKey = cache.Codec[Sender]{
	Encode: func(s Sender) ([]byte, error) { return fmt.Appendf(nil, "%d,%d", s.ConversationID, s.UserID), nil },
	Decode: func(b []byte) (s Sender, err error) {
		_, err = fmt.Sscanf(string(b), "%d,%d", &s.ConversationID, &s.UserID)
		return s, err
	},
}

// byID makes a cache of messages by id.
func byID[M proto.Message](name string, entries int, shared *cache.Shared, reg prometheus.Registerer) cache.Cache[int64, M] {
	return cache.New(shared, cache.Config[int64, M]{Name: name, MaxEntries: entries, Key: cache.Int64(), Value: cache.Proto[M]()}, reg)
}

// forget invalidates keys of a cache whatever became of the caller's context. A cache that owes other processes the news
// is no error: what was changed is committed, and without Redis they read from the store as well.
func forget[K comparable, V any](ctx context.Context, c cache.Cache[K, V], keys ...K) error {
	if err := c.Invalidate(context.WithoutCancel(ctx), keys...); errs.CodeOf(err) != errs.Unavailable {
		return err
	}
	return nil
}
