package e2e

import (
	"testing"
)

// A new version that does not come up: the old one keeps the traffic.
func TestRefused(t *testing.T) {
	tests := map[string]struct {
		files map[string]string // of v2
		fails bool              // systemctl start
		log   []string
	}{
		"never ready":        {args("v2", "-mode never-ready"), true, []string{"not ready", "myapp@v2", "result=timeout", "current=myapp@v1"}},
		"exits before ready": {args("v2", "-mode exit-before-ready"), true, []string{"not ready", "myapp@v2"}},
		"no listener":        {args("v2", "-mode no-listener"), false, []string{"not switched to", "myapp@v2", "no listening TCP socket"}},
		"two listeners":      {args("v2", "-listen [::]:7001 -listen [::]:7002"), false, []string{"not switched to", "myapp@v2", "[::]:7001", "[::]:7002", "Port="}},
		"probe fails": {instance("v2", "[X-Switcheroo]\nProbe=http:/no-such-page\nProbeTimeoutSec=1s\n"), false,
			[]string{"not switched to", "myapp@v2", "http:/no-such-page", "404"}},
		"loopback only": {args("v2", "-listen 127.0.0.1:0"), false, []string{"not switched to", "myapp@v2", "127.0.0.1", "Scope=localhost"}},
		"ExecStartPost fails": {instance("v2", "[Service]\nExecStartPost=/bin/sh -c 'sleep 0.3; exit 1'\n"), true,
			[]string{"not ready", "myapp@v2"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := set(t, tt.files)
			s.deploy("v1")
			if _, err := s.host.Systemctl(t.Context(), "start", "myapp@v2"); (err != nil) != tt.fails {
				t.Errorf("systemctl start: %v, want an error: %v", err, tt.fails)
			}
			s.log(tt.log...)
			s.served("v1")
			s.is("myapp@v1", "active")
			// And it is no obstacle to the next one.
			s.deploy("v3")
			s.is("myapp@v1", "inactive")
		})
	}
}

// A listener on loopback serves this host, if that is all that is asked for.
func TestScopeLocalhost(t *testing.T) {
	t.Parallel()
	s := set(t, keys("Scope=localhost"), args("v1", "-listen 127.0.0.1:0"))
	s.start("myapp@v1")
	s.log("switched", "to=myapp@v1.service")
	if got := s.fromHost("127.0.0.1:8080"); got != "v1" {
		t.Errorf("from the host: %q", got)
	}
	if got := s.fromClient(server4 + ":8080"); got != "refused" {
		t.Errorf("from another host: %q", got)
	}
}

func TestScopeNetwork(t *testing.T) {
	t.Parallel()
	s := set(t, keys("Scope=network"))
	s.start("myapp@v1")
	s.log("switched", "to=myapp@v1.service")
	if got := s.fromClient(server4 + ":8080"); got != "v1" {
		t.Errorf("from another host: %q", got)
	}
	if got := s.fromHost("127.0.0.1:8080"); got != "refused" {
		t.Errorf("from the host: %q", got)
	}
}

func TestPrivatePortIsGuarded(t *testing.T) {
	t.Parallel()
	s := set(t, keys("Port=7001"), args("v1", "-listen [::]:7001"))
	s.deploy("v1")
	for _, addr := range []string{server4 + ":7001", "[" + server6 + "]:7001"} {
		if got := s.fromClient(addr); got != "refused" {
			t.Errorf("%s from another host: %q", addr, got)
		}
		if got := s.fromHost(addr); got != "v1" {
			t.Errorf("%s from the host: %q", addr, got)
		}
	}
}
