package cache

import (
	"fmt"
	"strconv"

	"google.golang.org/protobuf/proto"
)

// Codec turns values into bytes and back, for where they leave the process.
type Codec[T any] struct {
	Encode func(T) ([]byte, error)
	Decode func([]byte) (T, error)
}

// Proto is the codec of a protobuf message.
func Proto[M proto.Message]() Codec[M] {
	return Codec[M]{
		Encode: func(m M) ([]byte, error) { return proto.Marshal(m) },
		Decode: func(b []byte) (M, error) {
			var none M
			m, ok := none.ProtoReflect().New().Interface().(M)
			if !ok {
				return none, fmt.Errorf("%T does not make its own kind", none)
			}
			return m, proto.Unmarshal(b, m)
		},
	}
}

// Int64 is the codec of keys that are numbers.
func Int64() Codec[int64] {
	return Codec[int64]{
		Encode: func(n int64) ([]byte, error) { return strconv.AppendInt(nil, n, 10), nil },
		Decode: func(b []byte) (int64, error) { return strconv.ParseInt(string(b), 10, 64) },
	}
}
