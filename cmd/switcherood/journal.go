package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/switcheroo/switcheroo/internal/controller"
)

const (
	journalSocket = "/run/systemd/journal/socket"
	// journalTimeout is how long journald may take to take a line. One that
	// is stuck must not hold up a switch.
	journalTimeout = time.Second
)

// journal writes entries with fields of their own to journald
// (systemd.journal-fields(7), "Native Journal Protocol").
type journal struct {
	conn *net.UnixConn
	to   *net.UnixAddr
}

// openJournal returns nil if what is written to stderr does not go to the
// journal, or journald cannot be reached: lines will do then.
func openJournal() *journal {
	if !stderrIsJournal() {
		return nil
	}
	// Not connected, so that a journald that is restarted is found again.
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram"})
	if err != nil {
		return nil
	}
	return &journal{conn, &net.UnixAddr{Name: journalSocket, Net: "unixgram"}}
}

// stderrIsJournal reports whether stderr is what JOURNAL_STREAM= describes
// (systemd.exec(5)).
func stderrIsJournal() bool {
	var s syscall.Stat_t
	if syscall.Fstat(int(os.Stderr.Fd()), &s) != nil {
		return false
	}
	return os.Getenv("JOURNAL_STREAM") == fmt.Sprintf("%d:%d", s.Dev, s.Ino)
}

// send writes one entry: the text of a line, and fields.
func (j *journal) send(level slog.Level, text string, fields []field) error {
	var b bytes.Buffer
	add := func(name, value string) {
		if !strings.Contains(value, "\n") {
			fmt.Fprintf(&b, "%s=%s\n", name, value)
			return
		}
		b.WriteString(name + "\n")
		b.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(value))))
		b.WriteString(value + "\n")
	}
	add("MESSAGE", text)
	add("PRIORITY", strings.Trim(priority(level), "<>"))
	add("SYSLOG_IDENTIFIER", "switcherood")
	for _, f := range fields {
		if f.value != "" {
			add(f.name, f.value)
		}
	}
	j.conn.SetWriteDeadline(time.Now().Add(journalTimeout))
	_, err := j.conn.WriteToUnix(b.Bytes(), j.to)
	return err
}

type field struct{ name, value string }

// fieldsOf returns the fields of an entry that tells n, or says something of the
// attributes given.
func fieldsOf(n *controller.News, attrs map[string]string) []field {
	service, unit := attrs["service"], attrs["unit"]
	var fields []field
	if n != nil {
		service, unit = n.Service, n.Unit
		fields = append(fields,
			field{"MESSAGE_ID", messageIDs[n.Kind]},
			field{"SWITCHEROO_EVENT", string(n.Kind)},
			field{"SWITCHEROO_EVENT_ID", fmt.Sprint(n.ID)},
			field{"SWITCHEROO_INVOCATION", n.Invocation},
			field{"SWITCHEROO_FROM", n.From},
			field{"SWITCHEROO_REASON", n.Reason})
		if n.Took > 0 {
			fields = append(fields, field{"SWITCHEROO_TOOK_USEC", fmt.Sprint(n.Took.Microseconds())})
		}
	}
	fields = append(fields, field{"SWITCHEROO_SERVICE", service}, field{"SWITCHEROO_UNIT", unit})
	if strings.HasSuffix(unit, ".service") && !strings.Contains(unit, "@.") {
		// journald believes this of root, and "systemctl status" shows it.
		fields = append(fields, field{"OBJECT_SYSTEMD_UNIT", unit})
	}
	return fields
}
