package main

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/internal/controller"
)

// TestCatalog: the catalog explains every message ID, and no other.
func TestCatalog(t *testing.T) {
	text, err := os.ReadFile("../../packaging/systemd/switcheroo.catalog")
	if err != nil {
		t.Fatal(err)
	}
	explained := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^-- ([0-9a-f]{32})\nSubject: .+\nDefined-By: Switcheroo\n`).FindAllStringSubmatch(string(text), -1) {
		explained[m[1]] = true
	}
	seen := map[string]controller.Kind{}
	for _, kind := range controller.Kinds {
		id := messageIDs[kind]
		switch kind {
		case controller.Probing, controller.Switching, controller.DrainBegan:
			if id != "" {
				t.Errorf("%s is not logged and has an ID", kind)
			}
			continue
		}
		if !explained[id] || seen[id] != "" {
			t.Errorf("%s: %s is explained %v, and is also %q", kind, id, explained[id], seen[id])
		}
		seen[id] = kind
	}
	if len(explained) != len(seen) || len(messageIDs) != len(seen) {
		t.Errorf("%d are explained, %d have an ID, %d are logged", len(explained), len(messageIDs), len(seen))
	}
	for _, m := range regexp.MustCompile(`@(\w+)@`).FindAllStringSubmatch(string(text), -1) {
		switch m[1] {
		case "SWITCHEROO_UNIT", "SWITCHEROO_SERVICE", "SWITCHEROO_REASON", "SWITCHEROO_FROM":
		default:
			t.Errorf("the catalog names field %s", m[1])
		}
	}
}

// TestJournalEntry: an entry has its fields, also with more than one line; and
// one that the journal does not take is a line.
func TestJournalEntry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var lines bytes.Buffer
	log := newLog(&lines, slog.LevelInfo, &journal{conn, &net.UnixAddr{Name: path, Net: "unixgram"}})
	read := func() string {
		t.Helper()
		b := make([]byte, 64<<10)
		l.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, err := l.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	log.Warn("two\nlines", "unit", "a@1.service", "service", "a")
	text := "two\nlines: unit=a@1.service service=a"
	want := "MESSAGE\n" + string(binary.LittleEndian.AppendUint64(nil, uint64(len(text)))) + text + "\n" +
		"PRIORITY=4\nSYSLOG_IDENTIFIER=switcherood\nSWITCHEROO_SERVICE=a\nSWITCHEROO_UNIT=a@1.service\nOBJECT_SYSTEMD_UNIT=a@1.service\n"
	if diff := cmp.Diff(want, read()); diff != "" {
		t.Error(diff)
	}
	l.Close()
	os.Remove(path)
	log.Info("still told")
	if !strings.HasSuffix(lines.String(), "still told\n") {
		t.Errorf("got %q", lines.String())
	}
}

// TestOwnSocket: without systemd's the daemon makes one that everybody may
// connect to, also where an earlier daemon has left one.
func TestOwnSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "switcheroo", "control.sock")
	for range 2 {
		l, err := new(inherited).socket(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o666 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		l.SetUnlinkOnClose(false) // as after a SIGKILL
		l.Close()
	}
}
