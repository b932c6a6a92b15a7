package redis

import (
	"context"
	"crypto/sha1" //nolint:gosec // the name that Redis gives a script
	"encoding/hex"

	"github.com/redis/rueidis"
)

// Script is Lua that the server runs as one atomic step.
type Script struct{ text, sha string }

// Call is one run of a script. Its keys lie in one slot of a cluster.
type Call struct{ Keys, Args []string }

// NewScript prepares a script.
func NewScript(text string) *Script {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // the name that Redis gives a script
	return &Script{text: text, sha: hex.EncodeToString(sum[:])}
}

// Exec runs the script for each call, in one round trip, or two when a server has not seen the script since its start.
func (s *Script) Exec(ctx context.Context, c *Client, calls ...Call) []rueidis.RedisResult {
	batch := make(rueidis.Commands, len(calls))
	for i, call := range calls {
		batch[i] = c.B().Evalsha().Sha1(s.sha).Numkeys(int64(len(call.Keys))).Key(call.Keys...).Arg(call.Args...).Build()
	}
	results := c.DoMulti(ctx, batch...)
	var unknown []int
	batch = batch[:0]
	for i := range results {
		if err, ok := rueidis.IsRedisErr(results[i].Error()); ok && err.IsNoScript() {
			call := calls[i]
			unknown = append(unknown, i)
			batch = append(batch, c.B().Eval().Script(s.text).Numkeys(int64(len(call.Keys))).Key(call.Keys...).Arg(call.Args...).Build())
		}
	}
	if len(unknown) > 0 {
		for n, result := range c.DoMulti(ctx, batch...) {
			results[unknown[n]] = result
		}
	}
	return results
}
