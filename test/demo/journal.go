package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/switcheroo/switcheroo/test/host"
)

// entry is one line of the host's journal.
type entry struct {
	At       time.Time     // when journald got it
	Mono     time.Duration // the same on CLOCK_MONOTONIC, which systemd's properties use
	Unit     string        // the unit that wrote it, or that systemd wrote it about
	Systemd  bool          // systemd wrote it
	ID       string        // for systemd's messages: which it is (systemd.journal-fields(7))
	Status   string        // for systemd's message that a process ended: how
	Message  string
	Priority int // 0 to 7, as in syslog(3)
}

// follow returns what the daemon, myapp and systemd about them write, from the
// boot on, until ctx ends or the host goes down; then the channel is closed.
func follow(ctx context.Context, h *host.Host) (<-chan entry, error) {
	args := []string{"journalctl", "--follow", "--lines=all", "--output=json", "--unit=" + daemonUnit}
	for _, v := range versions { // a pattern would only match what is in the journal already
		args = append(args, "--unit=myapp@"+v.name+".service")
	}
	cmd := h.Cmd(ctx, args...)
	// Not StdoutPipe: whoever waits for the command would close that too early.
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = in
	err = cmd.Start()
	in.Close()
	if err != nil {
		out.Close()
		return nil, fmt.Errorf("follow the journal: %w", err)
	}
	entries := make(chan entry)
	go func() {
		defer close(entries)
		defer cmd.Wait()
		defer out.Close()
		readEntries(ctx, out, entries)
	}()
	return entries, nil
}

// readEntries sends the entries that it reads from r, and passes over what is
// none.
func readEntries(ctx context.Context, r io.Reader, to chan<- entry) {
	for in := bufio.NewReader(r); ; {
		text, err := in.ReadBytes('\n')
		if e, ok := parseEntry(text); ok {
			select {
			case to <- e:
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// parseEntry reads one line of journalctl --output=json.
func parseEntry(text []byte) (entry, bool) {
	var raw struct {
		Realtime  string          `json:"__REALTIME_TIMESTAMP"`
		Monotonic string          `json:"__MONOTONIC_TIMESTAMP"`
		From      string          `json:"_SYSTEMD_UNIT"`
		About     string          `json:"UNIT"`
		ID        string          `json:"MESSAGE_ID"`
		Status    string          `json:"EXIT_STATUS"`
		Priority  string          `json:"PRIORITY"`
		Message   json.RawMessage `json:"MESSAGE"`
	}
	if json.Unmarshal(text, &raw) != nil {
		return entry{}, false
	}
	realtime, err1 := strconv.ParseInt(raw.Realtime, 10, 64)
	monotonic, err2 := strconv.ParseInt(raw.Monotonic, 10, 64)
	if err1 != nil || err2 != nil {
		return entry{}, false
	}
	e := entry{
		At: time.UnixMicro(realtime), Mono: time.Duration(monotonic) * time.Microsecond,
		Unit: raw.From, ID: raw.ID, Status: raw.Status, Priority: 6,
	}
	if raw.About != "" {
		e.Unit, e.Systemd = raw.About, true
	}
	if p, err := strconv.Atoi(raw.Priority); err == nil {
		e.Priority = p
	}
	// What is not plain text comes as an array of bytes.
	var octets []uint8
	var numbers []uint16
	if json.Unmarshal(raw.Message, &e.Message) != nil && json.Unmarshal(raw.Message, &numbers) == nil {
		for _, n := range numbers {
			octets = append(octets, byte(n))
		}
		e.Message = string(octets)
	}
	return e, e.Message != ""
}
