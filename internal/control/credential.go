package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/controller"
)

// credentialTimeout is how long systemd may be kept waiting for a credential:
// the unit's start waits with it.
const credentialTimeout = 20 * time.Second

// acceptAgain is the pause after a connection that could not be accepted.
const acceptAgain = 50 * time.Millisecond

// RunCredentials answers systemd's LoadCredential= on l until ctx ends, and
// closes l: whoever connects gets a private port of the unit that its address
// names, as text, and the end.
func (s *Server) RunCredentials(ctx context.Context, l *net.UnixListener) error {
	var all sync.WaitGroup
	defer all.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	defer l.Close()
	relief := newRelief()
	defer relief.stop()
	accepting := &listener{UnixListener: l, gate: s.credentials, relief: relief}
	for {
		c, err := accepting.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				c.Close()
			}
			return nil
		case err != nil: // too many files are open, perhaps
			s.Log.Warn("connection for a credential not accepted", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(acceptAgain):
			}
			continue
		}
		all.Go(func() {
			defer c.Close()
			limited, cancel := context.WithTimeout(ctx, credentialTimeout)
			defer cancel()
			s.credential(limited, c.(*conn))
		})
	}
}

// credential answers one connection. Who is not answered has an empty
// credential; the log says why.
func (s *Server) credential(ctx context.Context, c *conn) {
	name, id, err := asksFor(c.RemoteAddr().String())
	if err == nil {
		err = fromSystemd(c.peer, name)
	}
	var text string
	if err == nil {
		text, err = s.portText(ctx, name, id)
	}
	if err != nil {
		s.Log.Warn("credential not given", "unit", printable(name), "credential", printable(id), "uid", c.peer.UID(), "error", err)
		return
	}
	c.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := c.Write([]byte(text)); err != nil {
		s.Log.Warn("credential not sent", "unit", name, "credential", id, "error", err)
	}
}

// asksFor returns the unit and the credential that are in the address which
// systemd connects from: a NUL (here an @), a random string, "/unit/", the unit,
// "/" and the credential's name. See LoadCredential= in systemd.exec(5).
func asksFor(addr string) (name, id string, err error) {
	random, rest, ok := strings.Cut(addr, "/unit/")
	if !ok || !strings.HasPrefix(random, "@") || len(random) < 2 {
		return "", "", errors.New("it is not systemd that asks: its address names no unit")
	}
	name, id, ok = strings.Cut(rest, "/")
	if !ok || id == "" {
		return "", "", errors.New("the address names no credential")
	}
	// systemd always says it in full.
	if full, e := unit("unit", name); e != nil || full != name {
		return name, id, errors.New("the address names no service unit")
	}
	return name, id, nil
}

// fromSystemd is an error unless p is what systemd connects with for a unit: a
// process of root's that is in the unit already. Anybody can have an address
// that names a unit.
func fromSystemd(p *Peer, unit string) error {
	if p.UID() != 0 {
		return errors.New("it is not systemd that asks")
	}
	mine, err := p.Unit()
	if err == nil && mine != unit {
		err = fmt.Errorf("a process of %q asks", mine)
	}
	return err
}

// portText returns the credential "port", which is the number of the private
// port or, of several endpoints, a line NAME=NUMBER for each; or "port.NAME",
// the number of one.
func (s *Server) portText(ctx context.Context, unit, id string) (string, error) {
	name, one := strings.CutPrefix(id, "port.")
	if !one && id != "port" {
		return "", errors.New(`there are the credentials "port" and, for each endpoint with a name, "port.NAME"`)
	}
	r, err := s.reserved(ctx, unit, nil)
	if err != nil {
		return "", err
	}
	defer r.Close()
	return portsText(r, name, one)
}

func portsText(r *controller.Reserved, name string, one bool) (string, error) {
	if !one && len(r.Ports) == 1 {
		return fmt.Sprint(r.Ports[0].Port), nil
	}
	var b strings.Builder
	for _, p := range r.Ports {
		switch {
		case one && p.Name == name:
			return fmt.Sprint(p.Port), nil
		case !one:
			fmt.Fprintf(&b, "%s=%d\n", p.Name, p.Port)
		}
	}
	if one {
		return "", api.Errorf(api.BadRequest, "no endpoint is named %q", printable(name))
	}
	return b.String(), nil
}
