package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/switcheroo/switcheroo/test/host"
)

// README's unit file and server, to the letter, and what README says of them.
func TestReadmeExample(t *testing.T) {
	t.Parallel()
	server := host.Build(t, "github.com/switcheroo/switcheroo/examples/myapp")
	s := open(t, nft, map[string]string{"/opt/myapp/v1/server": server, "/opt/myapp/v2/server": server}, map[string]string{
		"/etc/systemd/system/myapp@.service": packaged(t, "examples/myapp@.service"),
		"/etc/switcheroo/switcherood.conf":   "", // none is needed
	})
	s.systemctl("enable", "--now", "myapp@v1")
	hello := func(version string) {
		t.Helper()
		s.eventually(version+" says hello", func() error {
			out, err := s.client.Run(t.Context(), "bash", "-c", `exec 3<>/dev/tcp/`+server4+`/443; printf 'GET / HTTP/1.0\r\n\r\n' >&3; cat <&3`)
			if err != nil || !strings.Contains(out, "/opt/myapp/"+version+"/server says hello to "+client4) {
				return fmt.Errorf("%q, %v", out, err)
			}
			return nil
		})
	}
	hello("v1")
	s.systemctl("start", "myapp@v2")
	hello("v2")
	// The default StandbySec=10s passes before v1 goes.
	s.within(30e9, "v1 is stopped, and v2 starts at the next boot", func() error {
		enabled, _ := s.host.Systemctl(t.Context(), "is-enabled", "myapp@v1", "myapp@v2") // its status says less than its output
		if got := strings.Fields(enabled); len(got) != 2 || got[0] != "disabled" || got[1] != "enabled" {
			return fmt.Errorf("enabled: %q", got)
		}
		if got := s.property("myapp@v1", "ActiveState"); got != "inactive" {
			return fmt.Errorf("v1 is %s", got)
		}
		return nil
	})
	hello("v2")
}
