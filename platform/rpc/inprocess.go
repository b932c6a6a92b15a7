package rpc

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gochat-im/gochat/platform/trace"
)

// inProcess is the way to a contract of this process through its generated client.
type inProcess struct {
	impl    any
	methods map[string]grpc.MethodHandler
}

// InProcess returns a way to an implementation in this process on which every call is a span, as between processes. What
// is passed is not copied: it belongs to both sides, as in a plain call.
func InProcess(contract *grpc.ServiceDesc, impl any) grpc.ClientConnInterface {
	c := inProcess{impl, make(map[string]grpc.MethodHandler, len(contract.Methods))}
	for _, m := range contract.Methods {
		c.methods["/"+contract.ServiceName+"/"+m.MethodName] = m.Handler
	}
	return c
}

// Invoke implements grpc.ClientConnInterface.
func (c inProcess) Invoke(ctx context.Context, method string, args, reply any, _ ...grpc.CallOption) (err error) {
	handler, ok := c.methods[method]
	if !ok {
		return fmt.Errorf("%s is not of this contract", method)
	}
	ctx, span := trace.Start(ctx, shortName(method), trace.Inside)
	defer func() { span.End(err) }()
	undecoded := func(any) error { return nil }
	answer, err := handler(c.impl, ctx, undecoded, func(ctx context.Context, _ any, _ *grpc.UnaryServerInfo, call grpc.UnaryHandler) (any, error) {
		return call(ctx, args)
	})
	if err != nil {
		return err
	}
	into := reply.(proto.Message).ProtoReflect() // all of a contract's types are
	answer.(proto.Message).ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		into.Set(f, v)
		return true
	})
	return nil
}

// NewStream implements grpc.ClientConnInterface: contracts between roles have no streams.
func (inProcess) NewStream(_ context.Context, _ *grpc.StreamDesc, method string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, fmt.Errorf("%s is a stream", method)
}
