package repo_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gochat-im/gochat/platform/errs"
	"github.com/gochat-im/gochat/repo"
	"github.com/gochat-im/gochat/repo/repopb"
)

const databaseFile = "gochat.db"

func openDir(t testing.TB, dir string) *repo.Service {
	t.Helper()
	cfg := repo.DefaultConfig()
	cfg.DataDir = dir
	s, err := repo.Open(t.Context(), cfg, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newUser(t testing.TB, s *repo.Service, name string) int64 {
	t.Helper()
	u, err := s.CreateUser(t.Context(), &repopb.CreateUserRequest{
		User: &repopb.User{Username: name, Nickname: name, Status: repopb.UserStatus_USER_STATUS_ACTIVE}, PasswordHash: "x",
	})
	if err != nil {
		t.Fatal(err)
	}
	return u.GetId()
}

// busy is a store in which several users write until stop.
type busy struct {
	s      *repo.Service
	owner  int64
	groups []int64
	stop   func()
}

func startBusy(t *testing.T, dir string) *busy {
	t.Helper()
	b := &busy{s: openDir(t, dir)}
	b.owner = newUser(t, b.s, "owner")
	done := make(chan struct{})
	var wg, going sync.WaitGroup
	for i := range 4 {
		created, err := b.s.CreateGroup(t.Context(), &repopb.CreateGroupRequest{Group: &repopb.Group{
			Name: "g", OwnerId: b.owner, MaxMembers: 1000, JoinPolicy: repopb.JoinPolicy_JOIN_POLICY_OPEN,
		}})
		if err != nil {
			t.Fatal(err)
		}
		group := created.GetChange().GetGroup().GetId()
		b.groups = append(b.groups, group)
		going.Add(1)
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				b.step(t, group, i, n)
				if n == 20 {
					going.Done()
				}
			}
		})
	}
	b.stop = func() {
		close(done)
		wg.Wait()
	}
	going.Wait()
	return b
}

// step joins a new user, writes messages of both and edits one: several tables, related to each other.
func (b *busy) step(t *testing.T, group int64, writer, n int) {
	u := newUser(t, b.s, fmt.Sprintf("u%dx%d", writer, n))
	if n < 900 {
		if _, err := b.s.AddGroupMember(t.Context(), &repopb.AddGroupMemberRequest{GroupId: group, ActorId: b.owner, UserIds: []int64{u}}); err != nil {
			t.Error(err)
		}
	}
	key := fmt.Sprintf("%d-%d", writer, n)
	sent, err := b.s.CreateMessages(t.Context(), &repopb.CreateMessagesRequest{PushOutbox: true, Messages: []*repopb.NewMessage{
		{ConversationId: group, SenderId: b.owner, ClientMsgId: key, Content: strings.Repeat("é", n%500) + key, MessageType: "text"},
	}})
	if err != nil || sent.GetResults()[0].GetCode() != 0 {
		t.Error(sent, err)
	}
	if _, err := b.s.CreateJobs(t.Context(), &repopb.CreateJobsRequest{Jobs: []*repopb.Job{{Kind: "k", Key: key, Payload: []byte{0, 1}}}}); err != nil {
		t.Error(err)
	}
}

func (b *busy) backup(t testing.TB, path string) int64 {
	t.Helper()
	r, err := b.s.Backup(t.Context(), &repopb.BackupRequest{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return r.GetBytes()
}

// A backup taken while others write is a prefix of what they wrote: every row
// of it stands the same in the store that went on.
func TestBackupUnderWritesIsAConsistentPrefix(t *testing.T) {
	t.Parallel()
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "backup.db")
	b := startBusy(t, dir)
	size := b.backup(t, file)
	b.stop()
	info, err := os.Stat(file)
	if err != nil || info.Size() != size || info.Mode().Perm() != 0o600 {
		t.Errorf("backup: %v bytes said, file %v, %v", size, info, err)
	}
	wantOnly(t, filepath.Dir(file), "backup.db")
	restored := filepath.Join(t.TempDir(), "new", "data")
	if err := repo.Restore(t.Context(), file, restored); err != nil {
		t.Fatal(err)
	}
	wantOnly(t, restored, databaseFile)

	copied, live := dump(t, filepath.Join(restored, databaseFile)), dump(t, filepath.Join(dir, databaseFile))
	cut := copied["clock"].rows["1"][1].(int64)
	for table, was := range live {
		got := copied[table]
		kept := 0
		for key, row := range was.rows {
			if !was.committedBy(row, cut, got.rows[key] != nil) {
				if got.rows[key] != nil {
					t.Errorf("%s %s: of after the backup", table, key)
				}
				continue
			}
			kept++
			if want := fmt.Sprint(row); !b.changes(table, row) && fmt.Sprint(got.rows[key]) != want {
				t.Errorf("%s %s: %v, want %v", table, key, got.rows[key], want)
			}
		}
		if len(got.rows) != kept {
			t.Errorf("%s: %d rows, %d were committed by then", table, len(got.rows), kept)
		}
		t.Logf("%s: %d of %d rows", table, len(got.rows), len(was.rows))
	}
	if len(copied["messages"].rows) < 80 || len(copied["messages"].rows) == len(live["messages"].rows) {
		t.Errorf("%d messages in the backup, %d in all", len(copied["messages"].rows), len(live["messages"].rows))
	}
	checkRestored(t, openDir(t, restored), b)
}

// checkRestored looks at what changes in place, and goes on writing.
func checkRestored(t *testing.T, s *repo.Service, b *busy) {
	t.Helper()
	for _, group := range b.groups {
		g, err := s.GetGroup(t.Context(), &repopb.GetGroupRequest{GroupId: group, UserId: b.owner})
		if err != nil {
			t.Fatal(err)
		}
		members, err := s.GetGroupMembers(t.Context(), &repopb.GetGroupMembersRequest{GroupId: group, Limit: 1000})
		if err != nil || len(members.GetMembers()) != int(g.GetMemberCount()) {
			t.Errorf("group counts %d members, has %d (%v)", g.GetMemberCount(), len(members.GetMembers()), err)
		}
		log, err := s.GetMessages(t.Context(), &repopb.GetMessagesRequest{ConversationId: group, AfterSet: true, IncludeAll: true, Limit: 10_000})
		if err != nil {
			t.Fatal(err)
		}
		joined := int32(1)
		for i, ev := range log.GetEvents() {
			if ev.GetSeq() != int64(i+1) {
				t.Fatalf("entry %d has seq %d", i+1, ev.GetSeq())
			}
			joined += int32(len(ev.GetTargetUserIds()))
		}
		if joined != g.GetMemberCount() {
			t.Errorf("the log tells of %d members, the group counts %d", joined, g.GetMemberCount())
		}
		sent, err := s.CreateMessages(t.Context(), &repopb.CreateMessagesRequest{Messages: []*repopb.NewMessage{
			{ConversationId: group, SenderId: b.owner, ClientMsgId: fmt.Sprint("again", group), Content: "goes on", MessageType: "text"},
		}})
		if err != nil || sent.GetResults()[0].GetEvent().GetSeq() != int64(len(log.GetEvents())+1) {
			t.Errorf("after the restore: %v, %v", sent, err)
		}
	}
}

// changes tells whether a row changes in place: the clock, what groups and conversations say of their members, and how many messages the owner sent.
func (b *busy) changes(table string, row []any) bool {
	return table == "clock" || table == "groups" || table == "conversations" || table == "members" && row[1].(int64) == b.owner
}

// wantOnly tells what else is in a folder.
func wantOnly(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, names) {
		t.Errorf("in the folder: %v, want %v", got, names)
	}
}

func TestBackupRefusals(t *testing.T) {
	t.Parallel()
	s := openDir(t, t.TempDir())
	dir := t.TempDir()
	there := filepath.Join(dir, "there")
	if err := os.WriteFile(there, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "nowhere"), link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]errs.Code{
		there:                            errs.Conflict,
		dir:                              errs.Conflict,
		link:                             errs.Conflict,
		"relative.db":                    errs.Invalid,
		"":                               errs.Invalid,
		filepath.Join(dir, "none", "db"): errs.Invalid,
		filepath.Join(there, "db"):       errs.Invalid,
	} {
		if _, err := s.Backup(t.Context(), &repopb.BackupRequest{Path: path}); errs.CodeOf(err) != want {
			t.Errorf("backup to %q: %v, want %v", path, err, want)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Backup(ended, &repopb.BackupRequest{Path: filepath.Join(dir, "canceled")}); err == nil {
		t.Error("a canceled backup was made")
	}
	if b, err := os.ReadFile(there); err != nil || string(b) != "mine" {
		t.Errorf("the file that was there: %q, %v", b, err)
	}
	wantOnly(t, dir, "link", "there")
}

// What a restore left that was killed does not stay, nor get into the next one.
func TestRestoreAfterAKilledOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openDir(t, filepath.Join(dir, "live"))
	user := newUser(t, s, "alice")
	file := filepath.Join(dir, "backup.db")
	if _, err := s.Backup(t.Context(), &repopb.BackupRequest{Path: file}); err != nil {
		t.Fatal(err)
	}
	into := filepath.Join(dir, "into")
	if err := os.Mkdir(into, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".gochat-restore", ".gochat-restore-wal", ".gochat-restore-journal"} {
		if err := os.WriteFile(filepath.Join(into, name), []byte("half of it"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := repo.Restore(t.Context(), file, into); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(into); err != nil || len(left) != 1 {
		t.Errorf("left %v, %v", left, err)
	}
	if _, err := openDir(t, into).GetUser(t.Context(), &repopb.GetUserRequest{Id: user}); err != nil {
		t.Error(err)
	}
}

func TestRestoreRefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openDir(t, filepath.Join(dir, "live"))
	for i := range 300 { // some pages
		newUser(t, s, fmt.Sprint("user", i))
	}
	file := filepath.Join(dir, "backup.db")
	if _, err := s.Backup(t.Context(), &repopb.BackupRequest{Path: file}); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	damaged := append([]byte{}, good...)
	for i := 2*4096 + 100; i < len(damaged) && i < 6*4096; i++ {
		damaged[i] ^= 0x5a
	}
	for name, content := range map[string][]byte{
		"empty": {}, "text": []byte(strings.Repeat("this is no database. ", 1000)), "damaged": damaged, "cut": good[:len(good)/2],
		"header only": good[:16], "newer": changed(t, good, "UPDATE goose_db_version SET version_id = 999"),
		"another program's": changed(t, good, "DROP TABLE goose_db_version"), "without a clock": changed(t, good, "DROP TABLE clock"),
	} {
		bad := filepath.Join(dir, name)
		if err := os.WriteFile(bad, content, 0o600); err != nil {
			t.Fatal(err)
		}
		into := filepath.Join(dir, "into "+name)
		if err := repo.Restore(t.Context(), bad, into); errs.CodeOf(err) != errs.Invalid || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := os.ReadDir(into); len(left) != 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
	if err := repo.Restore(t.Context(), filepath.Join(dir, "none"), filepath.Join(dir, "x")); errs.CodeOf(err) != errs.Invalid {
		t.Errorf("no file: %v", err)
	}
	if err := repo.Restore(t.Context(), file, filepath.Join(dir, "live")); errs.CodeOf(err) != errs.Conflict {
		t.Errorf("over a database: %v", err)
	}
	if err := repo.Restore(t.Context(), file, filepath.Join(dir, "fine")); err != nil {
		t.Error(err)
	}
}

// changed is a database after a statement.
func changed(t *testing.T, database []byte, statement string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(file, database, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
