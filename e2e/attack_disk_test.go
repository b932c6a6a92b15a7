package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// While the disk is full sends are refused with 1009 and reads work; when there is room it goes on by itself, and what
// was acknowledged is there, also after a kill.
func testFullDisk(t *testing.T) {
	t.Parallel()
	s := deploy(t, "GOCHAT_TASK_PERSIST_GIVE_UP_AFTER=500ms")
	a, b := register(t, s, "alice"), register(t, s, "bob")
	chat, w, heard := single(t, a, b), a.dial(t), b.dial(t)
	acked := map[string]int64{}
	send := func(key string) (status int, answer map[string]any) {
		t.Helper()
		status, answer = a.try(t, http.MethodPost, "/api/v1/messages/send",
			map[string]any{"conversation_id": chat, "content": strings.Repeat("x", 5000) + key, "message_type": "text", "client_msg_id": key})
		if status == http.StatusOK {
			acked[key] = num(answer, "message", "seq")
		}
		return status, answer
	}
	for round := range 3 {
		for i := range 10 {
			if status, answer := send(fmt.Sprint("before-", round, "-", i)); status != http.StatusOK {
				t.Fatalf("a send with room: %d %v", status, answer)
			}
		}
		lift := s.processes[0].limit(fileSize, 4096)
		for i := range 3 {
			key := fmt.Sprint("full-", round, "-", i)
			if status, answer := send(key); status != http.StatusServiceUnavailable || num(answer, "code") != 1009 {
				t.Errorf("a send without room: %d %v", status, answer)
			}
			w.send(t, fmt.Sprintf(`{"type":"message","id":"f%d","data":{"conversation_id":"%s","content":"x","message_type":"text","client_msg_id":"w-%s"}}`, i, chat, key))
			if f, _ := w.until(t, "error"); num(f.Data, "code") != 1009 || f.ID != fmt.Sprint("f", i) {
				t.Errorf("a frame without room: %+v", f)
			}
		}
		for name, c := range map[string]struct {
			method, path string
			body         map[string]any
		}{
			"edit":     {http.MethodPut, "/api/v1/messages/" + chat + "-1", map[string]any{"content": "y"}},
			"register": {http.MethodPost, "/api/v1/users/register", map[string]any{"username": "carol", "password": testPassword, "email": "c@example.org"}},
			"group":    {http.MethodPost, "/api/v1/groups/create", map[string]any{"name": "g"}},
			"login":    {http.MethodPost, "/api/v1/auth/login", map[string]any{"username": "alice", "password": testPassword}},
		} {
			if status, answer := a.try(t, c.method, c.path, c.body); status != http.StatusServiceUnavailable || num(answer, "code") != 1009 {
				t.Errorf("%s without room: %d %v", name, status, answer)
			}
		}
		if list := history(t, b, "conversation_id="+chat+"&limit=1"); num(list[0], "seq") != int64(len(acked)) {
			t.Errorf("the newest message while the disk is full: %v", list)
		}
		lift()
		for i := range 3 { // the retries of clients
			if status, answer := send(fmt.Sprint("full-", round, "-", i)); status != http.StatusOK {
				t.Errorf("a send when there is room again: %d %v", status, answer)
			}
		}
	}
	for seq := int64(1); seq <= int64(len(acked)); seq++ {
		if f, _ := heard.until(t, "message"); num(f.Data, "seq") != seq {
			t.Fatalf("the peer got seq %d, want %d", num(f.Data, "seq"), seq)
		}
	}
	s.kill()
	s.start()
	b.login(t)
	stored := map[string]int64{}
	for _, m := range all(t, b, chat) {
		stored[strings.TrimLeft(str(m, "content"), "x")] = num(m, "seq")
	}
	for key, seq := range acked {
		if stored[key] != seq {
			t.Errorf("%s was acknowledged as seq %d and is %d", key, seq, stored[key])
		}
	}
	if len(stored) != len(acked) {
		t.Errorf("%d messages stored, %d acknowledged", len(stored), len(acked))
	}
}

// A database that cannot be used ends the start with one line that names it, and is left as it was.
func testDamagedDatabase(t *testing.T) {
	t.Parallel()
	good := filepath.Join(t.TempDir(), "data")
	if _, stderr, code := gochat(t, "", nil, "migrate", "--data-dir", good); code != 0 {
		t.Fatal(stderr)
	}
	whole, err := os.ReadFile(filepath.Join(good, "gochat.db"))
	if err != nil {
		t.Fatal(err)
	}
	holes := append(whole[:4096:4096], bytes.Repeat([]byte{0xa5}, len(whole)-4096)...)
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"something else":           {bytes.Repeat([]byte("no database "), 1000), "damaged"},
		"the first page only":      {whole[:4096], "damaged"},
		"half of it":               {whole[:len(whole)/2], "damaged"},
		"rubbish after the header": {holes, "damaged"},
		"a folder":                 {nil, "is a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "gochat.db")
			if c.content == nil {
				err = os.Mkdir(file, 0o700)
			} else {
				err = os.WriteFile(file, c.content, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			_, stderr, code := gochat(t, "", nil, "serve", "--listen", "127.0.0.1:0", "--private-listen", "", "--data-dir", dir)
			if code != 1 || strings.Count(strings.TrimSpace(stderr), "\n") != 0 || !strings.Contains(stderr, file) || !strings.Contains(stderr, c.want) {
				t.Errorf("exit %d, %q", code, stderr)
			}
			if after, err := os.ReadFile(file); c.content != nil && (err != nil || !bytes.Equal(after, c.content)) {
				t.Errorf("the file was changed: %d bytes of %d, %v", len(after), len(c.content), err)
			}
		})
	}
	t.Run("a folder of any name", func(t *testing.T) {
		t.Parallel()
		s := deployIn(t, filepath.Join(t.TempDir(), "d%41 ?a=1#b"))
		register(t, s, "alice")
		s.stop()
		list, err := os.ReadDir(filepath.Dir(s.dir))
		if err != nil || len(list) != 1 {
			t.Errorf("beside the data folder: %v %v", list, err)
		}
		s.start()
		(&account{s: s, name: "alice"}).login(t)
	})
}

// A server, or the command, that dies in the middle of a backup leaves no half of one under its name, and starts again.
func testKillDuringBackup(t *testing.T) {
	t.Parallel()
	s := deploy(t)
	a, b := register(t, s, "alice"), register(t, s, "bob")
	chat := single(t, a, b)
	for range 300 {
		a.say(t, chat, strings.Repeat("x", 16_000))
	}
	folder := t.TempDir()
	finished := 0
	for round := range 8 {
		file := filepath.Join(folder, fmt.Sprint(round, ".db"))
		command := newCommand(t, "the backup", "", "admin", "--data-dir", s.dir, "backup", file)
		command.launch()
		eventually(t, "the backup has come so far", func() bool {
			written := unfinished(t, folder)
			return len(written) > 0 && written[0].Size() >= int64(round)<<19 || !command.running()
		})
		if _, err := os.Stat(file); !command.running() && err != nil {
			t.Fatalf("round %d: %v, %v\n%s", round, command.waitErr, err, command.log)
		}
		if round%2 == 0 {
			s.kill()
		}
		command.kill()
		if round%2 == 0 {
			s.start()
		}
		a.say(t, chat, "goes on")
		if round%2 == 1 { // the server lives, so it tidies up
			eventually(t, "an abandoned backup's file is gone", func() bool { return len(unfinished(t, folder)) == 0 })
		}
		for _, f := range unfinished(t, folder) {
			os.Remove(filepath.Join(folder, f.Name()))
		}
		if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
			continue
		}
		finished++
		if _, stderr, code := gochat(t, "", nil, "admin", "--data-dir", filepath.Join(t.TempDir(), "restored"), "restore", file); code != 0 {
			t.Errorf("round %d left a backup that is none: %s", round, stderr)
		}
	}
	t.Logf("%d of 8 backups were finished", finished)
}

// unfinished lists the backups that have no name yet.
func unfinished(t testing.TB, folder string) []os.FileInfo {
	t.Helper()
	list, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var found []os.FileInfo
	for _, e := range list {
		if info, err := e.Info(); err == nil && strings.HasPrefix(e.Name(), ".gochat-backup-") {
			found = append(found, info)
		}
	}
	return found
}
