package switcheroo

import (
	"context"
	"fmt"
	"log" // the original's API takes a *log.Logger
	"log/slog"
	"net"
	"os/exec"
	"reflect"
	"strconv"

	"github.com/switcheroo/switcheroo/internal/nat/single"
)

// Flags of a Switcheroo: whose connections are led to the program.
const (
	ENABLE_NETWORK   = 1 << 0 // those that arrive at this host
	ENABLE_LOCALHOST = 1 << 1 // those that this host opens to itself
)

// Switcheroo is the original library's way to say what Options say: a program
// written for it compiles with this package, and takes over from a process that
// was deployed with the original.
//
//	s, err := switcheroo.NewSwitcheroo("myapp", 8080, logger)
//	...
//	listener, finish, err := s.Begin()
//	...
//	go server.Serve(listener)
//	if err := finish(); err != nil { // new connections come here from now on
//		log.Fatal(err)
//	}
//
// As with the original the program itself ends when it gets SIGTERM, and what it
// does with its last connections then is its own affair. Unlike there, that
// signal comes only when the program's queues are empty and its connections have
// ended, or five minutes after the switch.
type Switcheroo struct {
	Namespace    string // the service: what versions of one program have in common
	IncomingPort int    // that clients dial
	// PortMin and PortMax are the range of private ports, one of which the
	// program listens on: 40400 to 40499, unless changed before Begin.
	PortMin, PortMax int
	// IptablesCmd returns the command iptables with args. All changes of rules
	// are made by it.
	IptablesCmd func(args ...string) *exec.Cmd
	Logger      *log.Logger // nil: say nothing
	Flags       int         // ENABLE_NETWORK, ENABLE_LOCALHOST or both

	// ip6tablesCmd goes with the IptablesCmd that a constructor set: one of the
	// caller's own is for IPv4 alone.
	ip6tablesCmd func(args ...string) *exec.Cmd
	builtin      func(args ...string) *exec.Cmd
}

// NewSwitcheroo returns a Switcheroo for a program that may run iptables, and
// uses ip6tables as well if the host has it. Its error says that there is no
// iptables (which a program that was handed its listener does not need), or that the namespace is of more than 180 characters.
func NewSwitcheroo(namespace string, incomingPort int, logger *log.Logger) (*Switcheroo, error) {
	return newBuiltin(namespace, incomingPort, logger, "iptables", iptables, ip6tables)
}

// NewSwitcherooWithSudoIptables is NewSwitcheroo for a program that may run
// "sudo iptables", and perhaps "sudo ip6tables".
func NewSwitcherooWithSudoIptables(namespace string, incomingPort int, logger *log.Logger) (*Switcheroo, error) {
	return newBuiltin(namespace, incomingPort, logger, "sudo", sudoIptables, sudoIp6tables)
}

// NewSwitcherooWithIptablesCmd returns a Switcheroo that runs what iptablesCmd
// returns, and redirects IPv4 only. It panics if the namespace is of more than
// 180 characters.
func NewSwitcherooWithIptablesCmd(namespace string, incomingPort int, logger *log.Logger, iptablesCmd func(args ...string) *exec.Cmd) *Switcheroo {
	if len(namespace) > single.MaxName {
		panic(fmt.Sprintf("switcheroo: namespace of %d characters: at most %d", len(namespace), single.MaxName))
	}
	return &Switcheroo{
		Namespace:    namespace,
		IncomingPort: incomingPort,
		PortMin:      defaultPortMin,
		PortMax:      defaultPortMax,
		IptablesCmd:  iptablesCmd,
		Logger:       logger,
		Flags:        ENABLE_NETWORK,
	}
}

func newBuiltin(namespace string, incomingPort int, logger *log.Logger, needs string, v4, v6 func(args ...string) *exec.Cmd) (*Switcheroo, error) {
	if len(namespace) > single.MaxName {
		return nil, fmt.Errorf("switcheroo: namespace of %d characters: at most %d", len(namespace), single.MaxName)
	}
	if _, err := exec.LookPath(needs); err != nil && !anyPassed() {
		return nil, fmt.Errorf("switcheroo: %w", err)
	}
	s := NewSwitcherooWithIptablesCmd(namespace, incomingPort, logger, v4)
	s.builtin, s.ip6tablesCmd = v4, v6
	return s, nil
}

func iptables(args ...string) *exec.Cmd  { return exec.Command("iptables", args...) }
func ip6tables(args ...string) *exec.Cmd { return exec.Command("ip6tables", args...) }

func sudoIptables(args ...string) *exec.Cmd {
	return exec.Command("sudo", append([]string{"iptables"}, args...)...)
}

func sudoIp6tables(args ...string) *exec.Cmd {
	return exec.Command("sudo", append([]string{"ip6tables"}, args...)...)
}

// SetFlags sets Flags.
func (s *Switcheroo) SetFlags(flags int) { s.Flags = flags }

// Begin finds a free private port and listens on it. Nothing leads there before
// the program, which has begun to accept connections, calls the function that is
// returned: that leads new connections here, and returns once they come. The
// older process then gets its SIGTERM, in the background, when nothing depends
// on it any more.
//
// When Begin or the function fails, the older process has the traffic, as
// before.
func (s *Switcheroo) Begin() (net.Listener, func() error, error) {
	if s.Flags&(ENABLE_NETWORK|ENABLE_LOCALHOST) == 0 {
		return nil, nil, fmt.Errorf("switcheroo: flags %#x: neither ENABLE_NETWORK nor ENABLE_LOCALHOST", s.Flags)
	}
	h, err := Listen(context.Background(), s.options())
	if err != nil {
		return nil, nil, err
	}
	return h.Listener(), func() error { return h.Ready(context.Background()) }, nil
}

// Cleanup removes every rule of the namespace: from here on its clients are
// refused.
func (s *Switcheroo) Cleanup() error {
	return Cleanup(context.Background(), s.options())
}

// options are s in the words of Listen. The original has no probe and no
// standby: the function that Begin returns may be called just before Serve is.
func (s *Switcheroo) options() Options {
	o := Options{
		Name:     s.Namespace,
		Listen:   []string{strconv.Itoa(s.IncomingPort)},
		PortMin:  s.PortMin,
		PortMax:  s.PortMax,
		Scope:    Scope(s.Flags & (ENABLE_NETWORK | ENABLE_LOCALHOST)),
		Probe:    "none",
		Standby:  -1,
		Iptables: s.IptablesCmd,
	}
	if s.Logger != nil {
		o.Log = slog.New(lineHandler{logger: s.Logger})
	}
	if s.builtin != nil && sameFunc(s.IptablesCmd, s.builtin) {
		o.IP6tables = s.ip6tablesCmd
	}
	return o
}

// sameFunc is about functions that are no closures.
func sameFunc(a, b func(args ...string) *exec.Cmd) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}
