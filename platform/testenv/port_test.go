package testenv_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/gochat-im/gochat/platform/testenv"
)

// portsVariable makes the test binary print addresses and end.
const portsVariable = "GOCHAT_TESTENV_PRINT_ADDRESSES"

// Processes of tests that run at the same time are never given the same port, though none listens yet.
func TestPortsBelongToOneProcess(t *testing.T) {
	t.Parallel()
	const each = 250 // more than a block
	if os.Getenv(portsVariable) != "" {
		for range each {
			os.Stdout.WriteString("address " + testenv.FreeAddress(t) + "\n")
		}
		_, _ = os.Stdin.Read(make([]byte, 1)) // the ports are this process's until the other ones have theirs
		return
	}
	seen := map[string]bool{}
	for range each {
		seen[testenv.FreeAddress(t)] = true
	}
	for range 3 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestPortsBelongToOneProcess$")
		cmd.Env = append(os.Environ(), portsVariable+"=1")
		hold, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			hold.Close()
			_ = cmd.Wait()
		})
		for _, address := range addressesOf(t, out, each) {
			if seen[address] {
				t.Errorf("%s was given twice", address)
			}
			seen[address] = true
		}
	}
	if len(seen) != 4*each {
		t.Errorf("%d different addresses, want %d", len(seen), 4*each)
	}
}

// addressesOf reads what a process prints.
func addressesOf(t *testing.T, out io.Reader, n int) []string {
	t.Helper()
	var found []string
	for lines := bufio.NewScanner(out); len(found) < n && lines.Scan(); {
		if address, ok := strings.CutPrefix(lines.Text(), "address "); ok {
			found = append(found, address)
		}
	}
	if len(found) != n {
		t.Fatalf("a process gave %d addresses, want %d", len(found), n)
	}
	return found
}
