// Package history reads what the daemon has told the journal: which version had
// the traffic when, and what failed, over restarts of the daemon and the host.
package history

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
)

// Kinds are the events that a history is made of.
var Kinds = []api.EventKind{api.Switched, api.SwitchedBack, api.Withdrawn, api.Released, api.NotReady, api.InstanceRefuse, api.Superseded, api.DrainExpired}

// Query says which part of the past is wanted.
type Query struct {
	Service string // "": of all services
	Since   string // journalctl's --since=; "": as far back as there is
	Lines   int    // how many of the latest; 0: all
}

// Read returns the events, the latest last. Who may not read the journal gets
// none, or an error.
func Read(ctx context.Context, q Query) ([]api.Event, error) {
	// The unit is a field that only journald writes, so nobody else can.
	args := []string{"--output=json", "_SYSTEMD_UNIT=switcherood.service"}
	for _, k := range Kinds {
		args = append(args, "SWITCHEROO_EVENT="+string(k))
	}
	if q.Service != "" {
		args = append(args, "SWITCHEROO_SERVICE="+q.Service)
	}
	if q.Since != "" {
		args = append(args, "--since="+q.Since)
	}
	if q.Lines > 0 {
		args = append(args, "--lines="+strconv.Itoa(q.Lines))
	}
	out, err := Journalctl(ctx, args...)
	if err != nil {
		return nil, err
	}
	all := []api.Event{}
	for entry := range bytes.Lines(out) {
		e, err := eventOf(entry)
		if err != nil {
			return nil, fmt.Errorf("read the journal: %w", err)
		}
		all = append(all, e)
	}
	return all, nil
}

// journalTimeout bounds a look into the journal, which may be large.
const journalTimeout = time.Minute

// Journalctl returns what journalctl prints.
func Journalctl(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, journalTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "journalctl", append([]string{"--no-pager", "--quiet"}, args...)...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return out.Bytes(), nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("read the journal: %w", ctx.Err())
	case errors.As(err, &exit) && said.Len() == 0 && out.Len() == 0 && exit.ExitCode() == 1:
		return nil, nil // nothing found
	case said.Len() > 0:
		return nil, fmt.Errorf("read the journal: %s", strings.TrimSpace(said.String()))
	}
	return nil, fmt.Errorf("read the journal: %w", err)
}

// eventOf reads an entry of the journal.
func eventOf(entry []byte) (api.Event, error) {
	var raw map[string]any
	if err := json.Unmarshal(entry, &raw); err != nil {
		return api.Event{}, err
	}
	field := func(name string) string {
		v, _ := raw[name].(string) // what is no text is not ours
		return v
	}
	number := func(name string) uint64 {
		n, _ := strconv.ParseUint(field(name), 10, 64)
		return n
	}
	at := number("__REALTIME_TIMESTAMP")
	if at == 0 {
		return api.Event{}, errors.New("an entry without time")
	}
	return api.Event{
		ID: number("SWITCHEROO_EVENT_ID"), Time: time.UnixMicro(int64(at)).UTC(), Kind: api.EventKind(field("SWITCHEROO_EVENT")),
		Message: field("MESSAGE"), Service: field("SWITCHEROO_SERVICE"), Unit: field("SWITCHEROO_UNIT"),
		Invocation: field("SWITCHEROO_INVOCATION"), From: field("SWITCHEROO_FROM"), Reason: field("SWITCHEROO_REASON"),
		Took: api.Duration(time.Duration(number("SWITCHEROO_TOOK_USEC")) * time.Microsecond),
	}, nil
}
