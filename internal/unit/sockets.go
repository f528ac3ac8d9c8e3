package unit

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/godbus/dbus/v5"
)

const socketIface = systemdName + ".Socket"

// ListenAddrs returns the TCP addresses that a socket unit listens on, none if
// it does not. A host of all zeroes is every address.
func (c *Client) ListenAddrs(ctx context.Context, socket string) ([]netip.AddrPort, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var addrs []netip.AddrPort
	err := c.do(ctx, func(b *bus) error {
		var path dbus.ObjectPath
		err := b.call(ctx, b.systemd(managerPath), managerIface+".GetUnit", socket).Store(&path)
		if isError(err, noSuchUnit) {
			return nil
		}
		if err != nil {
			return err
		}
		r := reader{bus: b, files: c.files}
		unit, err := r.get(ctx, path, unitIface, "ActiveState")
		if err != nil {
			return err
		}
		listen, err := r.get(ctx, path, socketIface, "Listen")
		if err != nil {
			return err
		}
		var active string
		value(unit.values, "ActiveState", &active)
		if active == "active" {
			addrs = streamAddrs(listen.values["Listen"])
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what %q listens on: %w", socket, err)
	}
	return addrs, nil
}

// streamAddrs returns the TCP addresses in the property Listen of a socket unit:
// pairs of a type, "Stream", and an address, "[::]:8080" or a path.
func streamAddrs(v dbus.Variant) []netip.AddrPort {
	var pairs []struct{ Type, Address string }
	if v.Store(&pairs) != nil {
		return nil
	}
	var addrs []netip.AddrPort
	for _, p := range pairs {
		addr, err := netip.ParseAddrPort(p.Address)
		if p.Type == "Stream" && err == nil {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// socketsOf returns the socket units among those that trigger a unit.
func socketsOf(values map[string]dbus.Variant) []string {
	var triggers, sockets []string
	value(values, "TriggeredBy", &triggers)
	for _, name := range triggers {
		if strings.HasSuffix(name, ".socket") {
			sockets = append(sockets, name)
		}
	}
	return sockets
}
