package rpc

import (
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

type methodName struct {
	Service string `json:"service"`
	Method  string `json:"method"`
}

// serviceConfig is gRPC's service config of a contract: round robin, and repetition of the methods that the contract
// marks, when nobody answered. All repetitions together stay a small part of the calls, and within a call's deadline.
func serviceConfig(service string) (string, error) {
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return "", fmt.Errorf("find contract %s: %w", service, err)
	}
	contract, ok := d.(protoreflect.ServiceDescriptor)
	if !ok {
		return "", fmt.Errorf("%s is not a contract", service)
	}
	safe := []methodName{}
	for i := range contract.Methods().Len() {
		if m := contract.Methods().Get(i); retrySafe(m) {
			safe = append(safe, methodName{service, string(m.Name())})
		}
	}
	config := map[string]any{
		"loadBalancingConfig": []any{map[string]any{"round_robin": map[string]any{}}},
		"retryThrottling":     map[string]any{"maxTokens": 100, "tokenRatio": 0.1},
	}
	if len(safe) > 0 {
		config["methodConfig"] = []any{map[string]any{
			"name": safe,
			"retryPolicy": map[string]any{
				"maxAttempts": 4, "initialBackoff": "0.05s", "maxBackoff": "0.5s", "backoffMultiplier": 2,
				"retryableStatusCodes": []string{"UNAVAILABLE"},
			},
		}}
	}
	raw, err := json.Marshal(config)
	if err != nil {
		return "", fmt.Errorf("make the service config: %w", err)
	}
	return string(raw), nil
}

// retrySafe reports whether a contract says that a call may be repeated after an unknown outcome.
func retrySafe(m protoreflect.MethodDescriptor) bool {
	o, ok := m.Options().(*descriptorpb.MethodOptions)
	return ok && o.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
}
