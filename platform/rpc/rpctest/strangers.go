package rpctest

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// RefusesStrangers fails unless every method at an address that is protected by a secret, those of health and
// reflection and unknown ones too, answers Unauthenticated to who does not know it.
func RefusesStrangers(t *testing.T, address, secret string, services ...string) {
	t.Helper()
	conn := raw(t, address, insecure.NewCredentials())
	methods := []string{
		grpc_health_v1.Health_Check_FullMethodName, "/no.such.Service/Method", "/nothing",
	}
	for _, s := range services {
		methods = append(methods, Methods(t, s)...)
		methods = append(methods, "/"+s+"/NoSuchMethod")
	}
	for name, headers := range map[string][]string{
		"no secret":         nil,
		"an empty secret":   {"authorization", "Bearer "},
		"a wrong secret":    {"authorization", "Bearer " + strings.Repeat("wrong-0123456789", 3)},
		"the secret's head": {"authorization", "Bearer " + secret[:len(secret)-1]},
		"the secret's case": {"authorization", "Bearer " + swapCase(secret)},
		"another scheme":    {"authorization", "Basic " + secret},
		"no scheme":         {"authorization", secret},
		"another header":    {"x-secret", secret},
		"twice":             {"authorization", "Bearer " + secret, "authorization", "Bearer x"},
	} {
		ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), headers...), 20*time.Second)
		for _, m := range methods {
			if err := conn.Invoke(ctx, m, &emptypb.Empty{}, &emptypb.Empty{}); status.Code(err) != codes.Unauthenticated {
				t.Errorf("%s with %s: %v", m, name, err)
			}
		}
		huge := wrapperspb.Bytes(make([]byte, 64<<20)) // refused by its header: nobody reads so much of a stranger
		if err := conn.Invoke(ctx, methods[len(methods)-2], huge, &emptypb.Empty{}); status.Code(err) != codes.Unauthenticated && status.Code(err) != codes.ResourceExhausted {
			t.Errorf("a huge message with %s: %v", name, err)
		}
		watch, err := grpc_health_v1.NewHealthClient(conn).Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
		if err == nil {
			_, err = watch.Recv()
		}
		if status.Code(err) != codes.Unauthenticated {
			t.Errorf("watching health with %s: %v", name, err)
		}
		info, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
		if err == nil {
			_ = info.CloseSend()
			_, err = info.Recv()
		}
		if errors.Is(err, io.EOF) || status.Code(err) != codes.Unauthenticated {
			t.Errorf("reflection with %s: %v", name, err)
		}
		cancel()
	}
}

// RefusesHandshake fails unless no call gets through to an address with these transport credentials.
func RefusesHandshake(t *testing.T, what, address string, with credentials.TransportCredentials, services ...string) {
	t.Helper()
	conn := raw(t, address, with)
	for _, s := range services {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		err := conn.Invoke(ctx, Methods(t, s)[0], &emptypb.Empty{}, &emptypb.Empty{})
		cancel()
		if status.Code(err) != codes.Unavailable {
			t.Errorf("%s at %s: %v, want a broken connection", what, s, err)
		}
	}
}

func raw(t *testing.T, address string, with credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(with), grpc.WithNoProxy(),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(1<<30)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func swapCase(s string) string {
	if up := strings.ToUpper(s); up != s {
		return up
	}
	return strings.ToLower(s)
}
