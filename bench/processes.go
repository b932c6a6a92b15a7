package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTick is USER_HZ, which Linux fixes at 100 for every architecture that Go
// runs on.
const clockTick = 10 * time.Millisecond

// processes are what a flag --process names: their CPU is told together, that of
// the processes that they start included.
type processes struct {
	name string
	pids []int
}

// parseProcesses reads NAME=PID,PID…
func parseProcesses(flags []string) ([]processes, error) {
	all := make([]processes, 0, len(flags))
	for _, flag := range flags {
		name, list, ok := strings.Cut(flag, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--process %s: want NAME=PID,PID…", flag)
		}
		p := processes{name: name}
		for text := range strings.SplitSeq(list, ",") {
			pid, err := strconv.Atoi(text)
			if err != nil {
				return nil, fmt.Errorf("--process %s: want NAME=PID,PID…", flag)
			}
			p.pids = append(p.pids, pid)
		}
		all = append(all, p)
	}
	return all, nil
}

// cpu is what the processes have used so far.
func (p processes) cpu() (time.Duration, error) {
	var sum time.Duration
	for _, pid := range p.pids {
		stat, err := readStat(pid)
		if err != nil {
			return 0, err
		}
		sum += stat.own + stat.ended
		for _, child := range childrenOf(pid) {
			below, err := processes{pids: []int{child}}.cpu()
			if err == nil { // otherwise it has just ended
				sum += below
			}
		}
	}
	return sum, nil
}

// cpuOf is what each of some groups of processes has used so far.
func cpuOf(all []processes) ([]time.Duration, error) {
	used := make([]time.Duration, len(all))
	for i, p := range all {
		var err error
		if used[i], err = p.cpu(); err != nil {
			return nil, fmt.Errorf("--process %s: %w", p.name, err)
		}
	}
	return used, nil
}

// stat is what a process has used of the processors, user and system.
type stat struct {
	own   time.Duration
	ended time.Duration // by children that have ended
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, fmt.Errorf("read a process's CPU: %w", err)
	}
	// The second field is the name in parentheses, which may hold spaces.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 15 {
		return stat{}, errors.New("read a process's CPU: /proc stat is short")
	}
	var ticks [4]int64 // utime, stime, cutime, cstime
	for i, field := range fields[11:15] {
		if ticks[i], err = strconv.ParseInt(field, 10, 64); err != nil {
			return stat{}, fmt.Errorf("read a process's CPU: %w", err)
		}
	}
	return stat{
		own:   time.Duration(ticks[0]+ticks[1]) * clockTick,
		ended: time.Duration(ticks[2]+ticks[3]) * clockTick,
	}, nil
}

// childrenOf lists the processes that a process started and that run.
func childrenOf(pid int) []int {
	paths, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // fails for a malformed pattern only
	var all []int
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		for field := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				all = append(all, child)
			}
		}
	}
	return all
}
