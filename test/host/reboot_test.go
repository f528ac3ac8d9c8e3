package host_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/host"
)

func TestReboot(t *testing.T) {
	for _, c := range []struct {
		name    string
		again   func(*host.Host, context.Context) error
		ordered bool
	}{
		{"in order", (*host.Host).Reboot, true},
		{"power cycle", (*host.Host).PowerCycle, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			network := host.StartNetwork(t)
			h := host.Start(t, host.Options{Files: map[string]string{
				"/etc/systemd/system/teller.socket":    teller["/etc/systemd/system/teller.socket"],
				"/etc/systemd/system/teller@.service":  teller["/etc/systemd/system/teller@.service"],
				"/etc/systemd/system/early.service":    "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=sh -c 'ip -brief address >/run/early'\n[Install]\nWantedBy=sysinit.target\n",
				"/etc/systemd/system/farewell.service": "[Service]\nExecStart=sleep infinity\nExecStop=touch /var/farewell\n",
			}})
			if err := network.Join(t.Context(), h, "10.9.0.1/24", "10.9.0.7/24", "fd00:9::1/64"); err != nil {
				t.Fatal(err)
			}
			client := network.StartClient(t, "10.9.0.2/24", "fd00:9::2/64")
			const id = "/proc/sys/kernel/random/boot_id"
			before := run(t, h, "cat", id)
			run(t, h, "systemctl", "enable", "--now", "early", "teller.socket")
			run(t, h, "systemctl", "start", "farewell")
			run(t, client, dial("10.9.0.1")...) // the client knows the MAC address now
			run(t, h, "sh", "-c", "echo kept | tee /etc/kept /var/kept /run/lost /tmp/lost")
			run(t, h, "iptables", "-N", "LOST")
			forgotten := h.Cmd(t.Context(), "sleep", "infinity")
			if err := forgotten.Start(); err != nil {
				t.Fatal(err)
			}

			begin := time.Now()
			if err := c.again(h, t.Context()); err != nil {
				t.Fatal(err)
			}
			t.Logf("rebooted in %v", time.Since(begin))

			run(t, h, "grep", "kept", "/etc/kept", "/var/kept")
			for _, p := range []string{"/run/lost", "/tmp/lost"} {
				if _, err := h.Run(t.Context(), "test", "!", "-e", p); err != nil {
					t.Errorf("%s is still there", p)
				}
			}
			if out, err := h.Run(t.Context(), "iptables", "-S", "LOST"); err == nil {
				t.Errorf("the rules are still there: %s", out)
			}
			if _, err := h.Run(t.Context(), "test", "-e", "/var/farewell"); (err == nil) != c.ordered {
				t.Errorf("services were stopped in order: %v, want %v", err == nil, c.ordered)
			}
			if after := run(t, h, "cat", id); after == before {
				t.Errorf("the boot id is still %s", after)
			}
			if got := run(t, h, "journalctl", "--list-boots", "--quiet"); strings.Count(got+"\n", "\n") != 2 {
				t.Errorf("boots in the journal:\n%s", got)
			}
			early := run(t, h, "cat", "/run/early")
			for _, addr := range []string{"10.9.0.1/24", "10.9.0.7/24", "fd00:9::1/64"} {
				if !strings.Contains(early, addr) {
					t.Errorf("when units started there was no %s:\n%s", addr, early)
				}
			}
			for _, addr := range []string{"10.9.0.1", "10.9.0.7", "fd00:9::1"} {
				begin := time.Now()
				if got := run(t, client, dial(addr)...); got != h.Name() {
					t.Errorf("at %s the client found %q", addr, got)
				}
				t.Logf("reached at %s in %v", addr, time.Since(begin))
			}
		})
	}
}

func TestRebootIsBounded(t *testing.T) {
	t.Parallel()
	h := host.Start(t, host.Options{Files: map[string]string{
		"/etc/systemd/system/stubborn.service": "[Service]\nExecStart=sleep infinity\nKillSignal=SIGCONT\n",
	}})
	run(t, h, "systemctl", "start", "stubborn")
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := h.Reboot(ctx); err == nil || !strings.Contains(err.Error(), "was killed") {
		t.Errorf("got %v", err)
	}
	if _, err := h.Run(t.Context(), "true"); err == nil || !strings.Contains(err.Error(), "is down") {
		t.Errorf("a program in a host that is down: %v", err)
	}
}
