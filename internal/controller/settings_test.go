package controller

import (
	"bytes"
	"context"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/internal/config"
	"github.com/switcheroo/switcheroo/internal/nat"
)

// desk is settings with what is read into them, and what they say of it.
type desk struct {
	*settings
	state State
	units map[string]Unit
	log   bytes.Buffer
}

func newDesk() *desk {
	d := &desk{state: State{Services: map[string]*Service{}}, units: map[string]Unit{}}
	log := slog.New(slog.NewTextHandler(&d.log, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	d.settings = newSettings(log, func(level slog.Level, message string, _ News, args ...any) {
		log.Log(context.Background(), level, message, args...)
	})
	return d
}

// reads has a unit's section be read, and that it is active.
func (d *desk) reads(unit, lines string) {
	u := Unit{Name: unit, Active: "active", Files: []config.File{{Path: unit, Data: []byte(lines)}}}
	d.units[unit] = u
	d.read(u, &d.state)
}

// has returns the public ports in force by unit.
func (d *desk) has() map[string]uint16 {
	ports := map[string]uint16{}
	d.stale = true
	force, _ := d.effective(&d.state, d.units)
	for unit, in := range force {
		ports[unit] = in.Listen[0].Port
	}
	return ports
}

func (d *desk) check(t *testing.T, want map[string]uint16, log ...string) {
	t.Helper()
	if diff := cmp.Diff(want, d.has()); diff != "" {
		t.Errorf("in force (-want +got):\n%s", diff)
	}
	d.has() // and it is not told again
	var got []string
	for line := range strings.Lines(d.log.String()) {
		got = append(got, strings.TrimSpace(line))
	}
	d.log.Reset()
	if diff := cmp.Diff(log, got); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestSettingsMistake(t *testing.T) {
	d := newDesk()
	d.reads("a.service", "[X-Switcheroo]\nListen=443\n")
	d.check(t, map[string]uint16{"a.service": 443})

	const mistake = `level=ERROR msg="configuration error" unit=a.service error="a.service:2: [X-Switcheroo] unknown key \"Lisen\" (did you mean \"Listen\"?)"`
	const none = `level=ERROR msg="configuration error" unit=a.service error="a.service:1: [X-Switcheroo] no Listen= (say which port clients dial, for example \"Listen=443\")"`
	d.reads("a.service", "[X-Switcheroo]\nLisen=80\n")
	d.check(t, map[string]uint16{"a.service": 443}, none, mistake)

	// Told once while it lasts, also if something else is edited.
	d.reads("a.service", "[X-Switcheroo]\nLisen=80\n# a comment\n")
	d.check(t, map[string]uint16{"a.service": 443})

	d.reads("a.service", "[X-Switcheroo]\nListen=80\n")
	d.check(t, map[string]uint16{"a.service": 80}, `level=INFO msg="configuration error mended" unit=a.service`)

	d.reads("a.service", "[Service]\n")
	d.check(t, map[string]uint16{})
	if !d.none["a.service"] {
		t.Error("not noted that it has no section")
	}

	d.reads("a.service", "[X-Switcheroo]\nLisen=80\n")
	d.check(t, map[string]uint16{}, none, mistake)
	d.drop("a.service")
	if n := len(d.files) + len(d.valid) + len(d.none) + len(d.told); n != 0 {
		t.Errorf("%d things are left of it", n)
	}
}

// What cannot be read was not taken away.
func TestSettingsFileIsGone(t *testing.T) {
	for name, files := range map[string][]config.File{
		"none":     nil,
		"masked":   {{Path: "a.service"}},
		"drop-ins": {{Path: "a.service.d/10.conf", Data: []byte("[Service]\n")}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk()
			d.reads("a.service", "[X-Switcheroo]\nListen=443\n")
			d.read(Unit{Name: "a.service", Active: "active", Files: files}, &d.state)
			if strings.Count(d.log.String(), "what it asked for holds") != 1 {
				t.Errorf("log: %s", d.log.String())
			}
			d.log.Reset()
			d.check(t, map[string]uint16{"a.service": 443})
			d.reads("a.service", "[Service]\n")
			d.check(t, map[string]uint16{})
		})
	}
}

func TestSettingsMistakeFromTheStart(t *testing.T) {
	d := newDesk()
	d.state.Services["a"] = &Service{Current: &Activation{Unit: "a.service", ID: "1",
		Instance: config.Instance{Unit: "a.service", Service: "a", Listen: []config.Listen{{Port: 443}}, Scope: config.Everyone}}}
	d.reads("a.service", "[X-Switcheroo]\nListen=https\n")
	d.check(t, map[string]uint16{"a.service": 443},
		`level=ERROR msg="configuration error" unit=a.service error="a.service:2: [X-Switcheroo] Listen=https: \"https\" is not a port (a port is a number from 1 to 65535)"`)
}

func TestSettingsConflict(t *testing.T) {
	const told = `level=ERROR msg="configuration error" unit=b.service error="b.service:2: [X-Switcheroo] Listen=443: service \"a\" (a.service) has Listen=443 already (choose another port or address, or join that service with Service=a)"`
	const mended = `level=INFO msg="configuration error mended" unit=b.service`
	d := newDesk()
	d.reads("a.service", "[X-Switcheroo]\nListen=443\n")
	d.check(t, map[string]uint16{"a.service": 443})
	d.reads("b.service", "[X-Switcheroo]\nListen=443\n")
	d.check(t, map[string]uint16{"a.service": 443}, told)

	// It is mended, and had something in the meantime that it keeps.
	d.reads("b.service", "[X-Switcheroo]\nListen=80\n")
	d.check(t, map[string]uint16{"a.service": 443, "b.service": 80}, mended)
	d.reads("b.service", "[X-Switcheroo]\nListen=443\n")
	d.check(t, map[string]uint16{"a.service": 443, "b.service": 80}, told)

	// The other one gives it up.
	d.reads("a.service", "[X-Switcheroo]\nListen=8080\n")
	d.check(t, map[string]uint16{"a.service": 8080, "b.service": 443}, mended)
}

// Which of two has it does not depend on names.
func TestSettingsConflictIsKeptByTheFirst(t *testing.T) {
	listen := func(unit string) *Activation {
		return &Activation{Unit: unit, ID: unit, Targets: []nat.Target{{Endpoint: nat.Endpoint{Port: 443}, Port: 1000, Families: nat.DualStack}},
			Instance: config.Instance{Unit: unit, Service: unit[:1], Listen: []config.Listen{{Port: 443}}, Scope: config.Everyone}}
	}
	const both = "[X-Switcheroo]\nListen=443\n"
	tests := map[string]func(*desk){
		"what had it in force": func(d *desk) {
			d.reads("b.service", both)
			d.has()
			d.reads("a.service", both)
		},
		"what has the traffic": func(d *desk) {
			d.state.Services["b"] = &Service{Current: listen("b.service")}
			d.reads("a.service", both)
			d.has()
			d.reads("b.service", both)
		},
		"what has the traffic, whatever its file says": func(d *desk) {
			d.state.Services["b"] = &Service{Current: listen("b.service")}
			d.reads("b.service", "[X-Switcheroo]\nListen=80 443\nPort=1000\n")
			d.reads("a.service", both)
		},
		"what runs": func(d *desk) {
			d.reads("a.service", both)
			d.units["a.service"] = Unit{Name: "a.service", Active: "inactive"}
			d.reads("b.service", both)
		},
	}
	for name, play := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDesk()
			play(d)
			d.stale = true
			got, _ := d.effective(&d.state, d.units)
			if got["a.service"] != nil || got["b.service"] == nil {
				t.Errorf("in force: %v", got)
			}
		})
	}
}

// Each field that the parser fills in makes a difference to same.
func TestSame(t *testing.T) {
	base := func() *config.Instance {
		return &config.Instance{Unit: "a", Service: "a", Listen: []config.Listen{{Port: 443}}, Ports: map[string]uint16{"": 1000}, Scope: config.Everyone}
	}
	if !same(base(), base()) || !sameRouting(base(), base()) {
		t.Fatal("equal ones are not the same")
	}
	changes := map[string]any{
		"Unit": "b", "Service": "b", "Listen": []config.Listen{{Port: 80}}, "Ports": map[string]uint16{"": 1001}, "Scope": config.Network,
		"Probe": config.Probe{Kind: config.ProbeHTTP, Path: "/"}, "ProbeTimeout": time.Second, "Standby": time.Second, "Drain": time.Second, "Guard": true,
	}
	routing := map[string]bool{"Service": true, "Listen": true, "Ports": true, "Scope": true}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[config.Instance]()) {
		if field.Name == "ListenAt" {
			continue
		}
		value, ok := changes[field.Name]
		if !ok {
			t.Errorf("config.Instance has a field %s, which same does not look at", field.Name)
			continue
		}
		in := base()
		reflect.ValueOf(in).Elem().FieldByIndex(field.Index).Set(reflect.ValueOf(value))
		if same(base(), in) {
			t.Errorf("another %s is the same", field.Name)
		}
		if sameRouting(base(), in) == routing[field.Name] {
			t.Errorf("another %s: same routing is %v", field.Name, !routing[field.Name])
		}
	}
	auto := base()
	auto.Ports = nil
	none := base()
	none.Ports = map[string]uint16{}
	if sameRouting(auto, none) {
		t.Error("Port=auto is the same as none")
	}
	moved := base()
	moved.ListenAt = []config.Pos{{File: "a", Line: 9}}
	if !same(base(), moved) {
		t.Error("a line that has moved makes a difference")
	}
}
