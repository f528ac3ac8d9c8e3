package host_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/switcheroo/switcheroo/test/host"
)

// A server that tells the name of its host, in two unit files.
var teller = map[string]string{
	"/etc/systemd/system/teller.socket":   "[Socket]\nListenStream=80\nAccept=yes\n[Install]\nWantedBy=sockets.target\n",
	"/etc/systemd/system/teller@.service": "[Service]\nExecStart=hostname\nStandardOutput=socket\n",
}

// dial returns the first line that a server says.
func dial(addr string) []string {
	return []string{"bash", "-c", "exec 3<>/dev/tcp/" + addr + "/80 && head -1 <&3"}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	network := host.StartNetwork(t)
	hosts := make([]*host.Host, 4)
	var boots sync.WaitGroup
	for i := range hosts {
		boots.Go(func() {
			hosts[i] = host.Start(t, host.Options{Name: fmt.Sprintf("h%d", i), Files: teller})
			err := network.Join(t.Context(), hosts[i],
				fmt.Sprintf("10.9.0.%d/24", 10+i), fmt.Sprintf("10.9.0.%d/24", 110+i), fmt.Sprintf("fd00:9::%d/64", 10+i))
			if err != nil {
				t.Error(err)
				return
			}
			run(t, hosts[i], "systemctl", "start", "teller.socket")
		})
	}
	boots.Wait()
	client := network.StartClient(t, "10.9.0.2/24", "fd00:9::2/64")
	for i := range hosts {
		for _, addr := range []string{fmt.Sprintf("10.9.0.%d", 10+i), fmt.Sprintf("10.9.0.%d", 110+i), fmt.Sprintf("fd00:9::%d", 10+i)} {
			if got, want := run(t, client, dial(addr)...), hosts[i].Name(); got != want {
				t.Errorf("at %s the client found %q, want %q", addr, got, want)
			}
			if got, want := run(t, hosts[0], dial(addr)...), hosts[i].Name(); got != want {
				t.Errorf("at %s %s found %q, want %q", addr, hosts[0].Name(), got, want)
			}
		}
	}
	if got := run(t, client, "ps", "-eo", "comm="); strings.Contains(got, "systemd") {
		t.Errorf("the client sees other processes than its own:\n%s", got)
	}
	if err := network.Join(t.Context(), hosts[0], "10.9.0.300/24"); err == nil {
		t.Error("joined with an address that is none")
	}
	client.Close()
	if _, err := client.Run(t.Context(), "true"); err == nil {
		t.Error("ran a program in a closed client")
	}
}

func TestTwoNetworks(t *testing.T) {
	t.Parallel()
	one, two := host.StartNetwork(t), host.StartNetwork(t)
	h := host.Start(t, host.Options{Name: "between", Files: teller})
	for i, n := range []*host.Network{one, two} {
		if err := n.Join(t.Context(), h, fmt.Sprintf("10.%d.0.1/24", i)); err != nil {
			t.Fatal(err)
		}
	}
	run(t, h, "systemctl", "start", "teller.socket")
	if got := run(t, one.StartClient(t, "10.0.0.2/24"), dial("10.0.0.1")...); got != "between" {
		t.Errorf("from the first network: %q", got)
	}
	if got := run(t, two.StartClient(t, "10.1.0.2/24"), dial("10.1.0.1")...); got != "between" {
		t.Errorf("from the second network: %q", got)
	}
}

func TestEightHostsAtOnce(t *testing.T) {
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			h := host.Start(t, host.Options{})
			if got := run(t, h, "systemctl", "is-system-running"); got != "running" {
				t.Errorf("the system is %s", got)
			}
		})
	}
}
