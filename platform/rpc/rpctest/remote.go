// Package rpctest holds what every role's tests ask of its contract: that each
// call has its remote side, and that its port answers no stranger.
package rpctest

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// recorder is a connection that notes which method was called.
type recorder struct {
	grpc.ClientConnInterface
	called []string
}

func (r *recorder) Invoke(_ context.Context, method string, _, _ any, _ ...grpc.CallOption) error {
	r.called = append(r.called, method)
	return nil
}

// Forwards fails unless the remote side of a contract has every method of it, and each calls its namesake.
func Forwards[S any](t *testing.T, service string, remote func(grpc.ClientConnInterface) S) {
	t.Helper()
	conn := &recorder{}
	methods := Methods(t, service)
	side := reflect.ValueOf(remote(conn))
	if n := side.NumMethod(); n != len(methods) {
		t.Errorf("the remote side of %s has %d methods, the contract %d", service, n, len(methods))
	}
	for _, full := range methods {
		name := full[strings.LastIndexByte(full, '/')+1:]
		m := side.MethodByName(name)
		if !m.IsValid() {
			t.Errorf("%s has no remote side", name)
			continue
		}
		conn.called = nil
		m.Call([]reflect.Value{reflect.ValueOf(t.Context()), reflect.New(m.Type().In(1).Elem())})
		if len(conn.called) != 1 || conn.called[0] != full {
			t.Errorf("%s calls %v", full, conn.called)
		}
	}
}

// Methods lists the full names of a contract's methods.
func Methods(t *testing.T, service string) []string {
	t.Helper()
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		t.Fatal(err)
	}
	contract, ok := d.(protoreflect.ServiceDescriptor)
	if !ok {
		t.Fatalf("%s is not a contract", service)
	}
	var full []string
	for i := range contract.Methods().Len() {
		full = append(full, "/"+service+"/"+string(contract.Methods().Get(i).Name()))
	}
	return full
}
