package contender

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/bench/loss/arena"
	"github.com/switcheroo/switcheroo/bench/loss/server"
)

// Switcheroo is the packaged daemon, with a template unit for each service.
type Switcheroo struct {
	Form    string // "nft": its name here
	Backend string // "iptables-nft": its name in switcherood.conf
	// Standby is StandbySec=, 0 unless set.
	Standby time.Duration
	// Drain is DrainSec=, DefaultDrain unless set.
	Drain time.Duration
	// Unread is how long the bench leaves unread what the daemon saves when it
	// has moved the traffic: to read it takes the machine's time.
	Unread time.Duration
}

// DefaultDrain is longer than any client of the bench keeps a connection.
const DefaultDrain = 10 * time.Minute

func (c Switcheroo) Name() string { return "switcheroo-" + c.Form }

func (c Switcheroo) About() string {
	return "systemctl start NAME@next: switcherood moves the public port (" + c.Backend + ") and stops the old one when it is drained"
}

func (c Switcheroo) Ours() bool { return true }

func (c Switcheroo) Supports(k server.Kind) error {
	return supports(k, server.AnyPort|server.Number, "a private port")
}

func (c Switcheroo) Prepare(services []Service) (Preparation, error) {
	daemon, err := repositoryFile("packaging/systemd/switcherood.service")
	if err != nil {
		return Preparation{}, err
	}
	p := prepare(services, c.template)
	p.Files["/etc/systemd/system/switcherood.service"] = daemon
	p.Files["/etc/switcheroo/switcherood.conf"] = "[Switcherood]\nBackend=" + c.Backend + "\n"
	p.Binds["/usr/sbin/switcherood"] = server.Build{Package: "github.com/switcheroo/switcheroo/cmd/switcherood"}
	p.Units = []string{"switcherood.service"}
	return p, nil
}

// template is the unit that switcheroo.unit(5) tells users to write.
func (c Switcheroo) template(s Service) map[string]string {
	in := server.Listen{How: server.AnyPort, Port: "0"}
	if numbered(s) {
		in = server.Listen{How: server.Number, Port: "${PORT}"}
	}
	drain := c.Drain
	if drain == 0 {
		drain = DefaultDrain
	}
	files := instances(s, in)
	for path, text := range files {
		files[path] = "[Unit]\nWants=switcherood.service\nAfter=switcherood.service\n\n" + text +
			fmt.Sprintf("\n[X-Switcheroo]\nListen=%d\nStandbySec=%s\nDrainSec=%s\n", s.Port, timespan(c.Standby), timespan(drain))
	}
	return files
}

// numbered says whether the server must be told its private port.
func numbered(s Service) bool { return s.Kind.Takes&server.AnyPort == 0 }

// timespan writes d as unit files do.
func timespan(d time.Duration) string { return fmt.Sprintf("%dms", d.Milliseconds()) }

func (c Switcheroo) Start(ctx context.Context, a *arena.Arena, s Service, version int) error {
	_, err := c.Switch(ctx, a, s, version)
	return err
}

func (c Switcheroo) Switch(ctx context.Context, a *arena.Arena, s Service, version int) (Times, error) {
	t := Times{Began: time.Now()}
	unit := instanceName(s, version)
	if numbered(s) {
		port := privatePort(s, version)
		text := fmt.Sprintf("[Service]\nEnvironment=PORT=%d\n\n[X-Switcheroo]\nPort=%[1]d\n", port)
		if err := a.Host.WriteFile(filepath.Join(dropIns, unit+".d", "port.conf"), text); err != nil {
			return t, err
		}
	}
	saves, err := watchRenames(hostRoot(a) + filepath.Dir(stateFile))
	if err != nil {
		return t, err
	}
	defer saves.close()
	if _, err := a.Host.Systemctl(ctx, "start", unit); err != nil {
		return t, err
	}
	t.Moved, err = c.moved(ctx, a, s, unit, saves)
	if err == nil && numbered(s) {
		err = sweep(a, s)
	}
	return t, err
}

func (c Switcheroo) Settle(ctx context.Context, a *arena.Arena, s Service) error {
	err := await(ctx, slowly, "no old instance of "+s.Name+" is left", func() error {
		state, err := readState(a, s)
		if err == nil && len(state.Old) > 0 {
			err = fmt.Errorf("there are %d, the newest of them %s", len(state.Old), state.Old[0].Unit)
		}
		return err
	})
	if err == nil && numbered(s) {
		err = sweep(a, s)
	}
	return err
}

// dropIns is where the drop-ins are that give each instance its number.
const dropIns = "/run/systemd/system"

// sweep removes the drop-ins of instances that are gone.
func sweep(a *arena.Arena, s Service) error {
	state, err := readState(a, s)
	if err != nil {
		return err
	}
	here := map[string]bool{}
	for _, i := range append(state.Old, *state.Current) {
		here[i.Unit+".d"] = true
	}
	entries, err := os.ReadDir(hostRoot(a) + dropIns)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), s.Name+"@") && !here[e.Name()] {
			if err := remove(a, filepath.Join(dropIns, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
