package controller

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"strings"
	"time"
)

// What a daemon sees of the listeners that are kept. They outlive it in the
// host's store, as in systemd's.

func (d *daemon) Free(port uint16, _ bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.kept {
		if p == port {
			return false
		}
	}
	return !d.bound(port)
}

// bound reports whether a process listens on port. The caller holds mu.
func (h *host) bound(port uint16) bool {
	for _, u := range h.units {
		for _, l := range u.listeners {
			if l.Addr.Port() == port {
				return true
			}
		}
	}
	return false
}

func (d *daemon) Keep(ctx context.Context, key string, port uint16, _ *os.File) error {
	err := d.enter(ctx, "Keep", time.Millisecond)
	defer d.mu.Unlock()
	if err != nil {
		return err
	}
	if !d.bound(port) {
		return fmt.Errorf("nothing listens on port %d", port)
	}
	if d.kept == nil {
		d.kept = map[string]uint16{}
	}
	d.kept[key] = port
	return nil
}

func (d *daemon) Kept() map[string]uint16 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kept == nil {
		return map[string]uint16{}
	}
	return maps.Clone(d.kept)
}

func (d *daemon) Copy(string) (*os.File, error) { return nil, nil }

func (d *daemon) Waiting(ctx context.Context, port uint16) (int, error) {
	err := d.enter(ctx, "Waiting", time.Millisecond)
	defer d.mu.Unlock()
	return d.waiting[port], err
}

func (d *daemon) Drop(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.dead {
		delete(d.kept, key)
	}
}

// byExec is what `switcheroo exec` does at the start of u; the caller holds mu.
// It asks again and again until a daemon answers, then listens, hands over its
// listener, and calls f with mu held.
func (h *host) byExec(u *fakeUnit, f func()) {
	name, life := u.Name, u.life
	h.group.Go(func() {
		var r *Reserved
		h.insist(u, life, func(ctx context.Context, d *daemon) (err error) {
			r, err = d.Reserve(ctx, name, nil)
			return err
		})
		h.mu.Lock()
		if u.life != life || r == nil {
			h.mu.Unlock()
			return
		}
		for _, p := range r.Ports {
			u.listeners = append(u.listeners, Listener{Addr: netip.AddrPortFrom(netip.IPv6Unspecified(), p.Port)})
			for other, v := range h.units {
				for _, l := range v.listeners {
					if other != name && l.Addr.Port() == p.Port {
						h.t.Errorf("%s and %s have both been given port %d", name, other, p.Port)
					}
				}
			}
		}
		h.mu.Unlock()
		for _, p := range r.Ports {
			h.insist(u, life, func(ctx context.Context, d *daemon) error { return d.Controller.Keep(ctx, name, p.Name, p.Port, nil) })
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if u.life == life {
			f()
		}
	})
}

// insist calls the daemon, whichever lives, until it answers or u has ended.
func (h *host) insist(u *fakeUnit, life int, call func(context.Context, *daemon) error) {
	for h.ctx.Err() == nil {
		h.mu.Lock()
		d, over := h.daemon, u.life != life
		h.mu.Unlock()
		if over {
			return
		}
		if d != nil {
			ctx, cancel := context.WithTimeout(h.ctx, 10*time.Second)
			stop := make(chan struct{})
			h.group.Go(func() { // a dead daemon hangs up
				select {
				case <-d.done:
					cancel()
				case <-stop:
				}
			})
			err := call(ctx, d)
			h.mu.Lock()
			dead := d.dead
			h.mu.Unlock()
			close(stop)
			cancel()
			if err == nil && !dead {
				return
			}
		}
		if sleep(h.ctx, 50*time.Millisecond) != nil {
			return
		}
	}
}

// queues reports whether clients of an activation that runs no more wait for
// the next one of its unit. The caller holds mu.
func (h *host) queues(activation string) bool {
	for _, u := range h.units {
		if u.exec && strings.HasPrefix(activation, prefixOf(u.Name)+"-") && u.returning() && len(h.kept) > 0 {
			return true
		}
	}
	return false
}

// prefixOf is how the InvocationIDs of a unit begin.
func prefixOf(unit string) string {
	return strings.NewReplacer("@", "-", ".service", "").Replace(unit)
}
