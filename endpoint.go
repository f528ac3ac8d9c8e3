package switcheroo

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// parseEndpoint reads "8080", ":8080", "192.0.2.7:8080" or "[2001:db8::1]:443".
func parseEndpoint(s string) (nat.Endpoint, error) {
	text, _ := strings.CutPrefix(s, ":")
	if !strings.Contains(text, ":") {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			return nat.Endpoint{}, fmt.Errorf("endpoint %q: not a port from 1 to 65535", s)
		}
		return nat.Endpoint{Port: uint16(port)}, nil
	}
	ap, err := netip.ParseAddrPort(s)
	switch {
	case err != nil:
		return nat.Endpoint{}, fmt.Errorf(`endpoint %q: not of the form "8080", "192.0.2.7:8080" or "[2001:db8::1]:8080"`, s)
	case ap.Port() == 0:
		return nat.Endpoint{}, fmt.Errorf("endpoint %q: not a port from 1 to 65535", s)
	case ap.Addr().Zone() != "":
		return nat.Endpoint{}, fmt.Errorf("endpoint %q: an address with a zone cannot be redirected", s)
	}
	return nat.Endpoint{Addr: ap.Addr(), Port: ap.Port()}.Canonical(), nil
}

func parseEndpoints(list []string) ([]nat.Endpoint, error) {
	if len(list) == 0 {
		return nil, errors.New("no endpoint to listen on")
	}
	var all []nat.Endpoint
	seen := map[nat.Endpoint]bool{}
	for _, s := range list {
		e, err := parseEndpoint(s)
		if err != nil {
			return nil, err
		}
		if seen[e] {
			return nil, fmt.Errorf("endpoint %q: given twice", s)
		}
		seen[e] = true
		all = append(all, e)
	}
	return all, nil
}

// check is a parsed Options.Probe.
type check struct {
	kind string // "tcp", "http" or "none"
	path string // of http
}

func parseProbe(s string) (check, error) {
	switch path, http := strings.CutPrefix(s, "http:"); {
	case s == "", s == "tcp":
		return check{kind: "tcp"}, nil
	case s == "none":
		return check{kind: "none"}, nil
	case http && strings.HasPrefix(path, "/"):
		return check{kind: "http", path: path}, nil
	}
	return check{}, fmt.Errorf(`probe %q: not "tcp", "http:/path" or "none"`, s)
}
