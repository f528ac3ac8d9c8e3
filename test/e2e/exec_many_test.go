package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// Many instances of one user that start at the same time, as at boot, all get
// their ports.
func TestExecManyAtOnce(t *testing.T) {
	t.Parallel()
	const many = 40
	s := setExec(t, byExec(), map[string]string{
		"/etc/systemd/system/many@.service": "[Unit]\nWants=switcherood.service\n[Service]\nType=exec\nUser=nobody\n" +
			"ExecStart=/usr/bin/switcheroo exec --port-only -- /bin/sleep infinity\n[X-Switcheroo]\nService=%i\nListen=%i\n",
	})
	args := []string{"start"}
	for i := range many {
		args = append(args, fmt.Sprint("many@", 20000+i, ".service"))
	}
	s.systemctl(args...)
	s.eventually("all have asked", func() error {
		for _, unit := range args[1:] {
			pid := s.property(unit, "MainPID")
			if comm := strings.TrimSpace(s.do("cat /proc/" + pid + "/comm")); comm != "sleep" {
				return fmt.Errorf("%s runs %s", unit, comm)
			}
		}
		return nil
	})
}
