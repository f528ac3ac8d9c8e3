package e2e

import (
	"testing"
)

// byCredential has the server listen on the port that is in its credential.
func byCredential(more ...string) map[string]string {
	return execStart(`/bin/sh -c 'exec /opt/myapp/server -version %i -listen "[::]:$$(cat $$CREDENTIALS_DIRECTORY/port)"'`,
		append([]string{"LoadCredential=port:/run/switcheroo/credential.sock"}, more...)...)
}

// systemd fetches the port for the instance, in a hard sandbox, again at each
// restart, and starts a daemon for it if none runs.
func TestCredential(t *testing.T) {
	t.Parallel()
	s := setExec(t, byCredential(), keys("StandbySec=0"))
	s.deploy("v1")
	port := s.privatePort("v1")
	if port < 61000 || port > 64999 {
		t.Errorf("private port %d", port)
	}
	s.systemctl("restart", "myapp@v1")
	s.served("v1")
	s.systemctl("stop", "switcherood")
	s.deploy("v2")
	if again := s.privatePort("v2"); again == port || again < 61000 || again > 64999 {
		t.Errorf("private ports %d and %d", port, again)
	}
	s.is("myapp@v1", "inactive")
	s.is("switcherood", "active")
	// The daemon dies while it is asked.
	for _, version := range []string{"v3", "v4", "v5"} {
		s.do(kill9 + "; systemctl start myapp@" + version)
		s.served(version)
	}
}

// Of several endpoints each has its number, by name.
func TestCredentialOfSeveral(t *testing.T) {
	t.Parallel()
	s := setExec(t, execStart(`/bin/sh -c 'cd $$CREDENTIALS_DIRECTORY; . ./port; test "$$http $$alt" = "$$(cat port.http) $$(cat port.alt)"; exec /opt/myapp/server -version %i -listen "[::]:$$http" -listen "[::]:$$alt"'`,
		"LoadCredential=port:/run/switcheroo/credential.sock", "LoadCredential=port.http:/run/switcheroo/credential.sock", "LoadCredential=port.alt:/run/switcheroo/credential.sock"),
		keys("Listen=", "Listen=http=8080 alt=8081"))
	s.deploy("v1")
	if got := s.fromClient(server4 + ":8081"); got != "v1" {
		t.Errorf("8081 is served by %q", got)
	}
}
