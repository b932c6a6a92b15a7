package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The README's tour works exactly as written, at another address.
func TestReadmeTour(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	tour := regexp.MustCompile("(?s)## Two minutes with curl\n+```sh\n(.*?)```").FindSubmatch(page)
	if tour == nil {
		t.Fatal("the README has no tour")
	}
	script := strings.ReplaceAll(string(tour[1]), "localhost:8080", deploy(t).gateways[0].address)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-eu", "-o", "pipefail")
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// What is printed: two accounts, the message, and what Bob has not read.
	var answers []map[string]any
	for decoder := json.NewDecoder(strings.NewReader(string(out))); decoder.More(); {
		var answer map[string]any
		if err := decoder.Decode(&answer); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		answers = append(answers, answer)
	}
	if len(answers) != 4 || str(answers[0], "user", "username") != "alice" || str(answers[1], "user", "username") != "bob" ||
		str(answers[2], "message", "content") != "hello bob" || num(answers[3], "total") != 1 {
		t.Errorf("the tour prints %s", out)
	}
}
