package control

import (
	"context"
	"net/netip"
	"os"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/controller"
)

// World is the controller.
type World interface {
	View(ctx context.Context) (*controller.View, error)
	Rollback(ctx context.Context, service, unit string) (to string, warm bool, err error)
	SeeOut(ctx context.Context, unit string) (due bool, err error)
	Expect(ctx context.Context, unit string, own bool) error
	// Blocked says why rules cannot be changed now, "" if they can.
	Blocked() string
	Reserve(ctx context.Context, unit string, taken []uint16) (*controller.Reserved, error)
	Keep(ctx context.Context, unit, name string, port uint16, l *os.File) error
	Pause(ctx context.Context, service string, most time.Duration) error
	Resume(ctx context.Context, service string) error
}

// Gate is where the connections of paused services wait.
type Gate interface {
	// Waiting is what waits, by service.
	Waiting() map[string]Waiting
}

// Waiting is how many connections of a service wait, and how many had to since
// the daemon started.
type Waiting struct {
	Now   int
	Since uint64
}

// Units is systemd. Each call returns when ctx ends at the latest.
type Units interface {
	// Start queues a start job.
	Start(ctx context.Context, unit string) error
	// Check returns the mistakes in files, as those of unit, or in those of
	// all units and templates that there are.
	Check(ctx context.Context, unit string, files []api.File) (*api.Checked, error)
	// Carries reports whether the files of unit, which need not be loaded,
	// have an [X-Switcheroo] section.
	Carries(ctx context.Context, unit string) (bool, error)
}

// Doctor looks for what goes wrong on this host.
type Doctor interface {
	// Diagnose takes a few seconds at most. One that was made a moment ago will
	// do unless it is wanted anew. What it returns is shared: it must not be
	// changed.
	Diagnose(ctx context.Context, anew bool) (*api.Diagnosis, error)
}

// Journal has what happened before the daemon's start, too.
type Journal interface {
	// History returns the latest switches and failures since a time, which may
	// be zero, the latest last; of all services if service is "".
	History(ctx context.Context, service string, since time.Time, lines int) ([]api.Event, error)
}

// Sockets is TCP on this host.
type Sockets interface {
	// Connections returns the live connections to ports.
	Connections(ctx context.Context, ports []uint16) ([]Socket, error)
	// Count counts them by port.
	Count(ctx context.Context, ports []uint16) (map[uint16]Count, error)
	// Tracked returns how many entries conntrack has, and may have.
	Tracked() (entries, most int, err error)
}

// Count is how many connections a port has.
type Count struct {
	Open     int // accepted, and of use to somebody
	Queued   int // established, and not accepted yet
	HalfOpen int // handshakes under way
}

// Socket is one connection.
type Socket struct {
	Peer           netip.AddrPort
	Port           uint16
	State          string
	Accepted       bool
	Unread, Unsent uint32
	Received, Sent uint64        // since it began
	Idle           time.Duration // negative: not known
}
