package unit

import (
	"slices"
	"testing"
	"time"
)

func TestLifecycle(t *testing.T) {
	t.Parallel()
	h := boot(t, map[string]string{
		"one.service":  "[Unit]\nAfter=other.service\n" + template("ExecStart=/bin/sleep 1000", "ExecStop=-/bin/echo drain %n", "ExecStop=/bin/true", "TimeoutStopSec=1min 30s"),
		"ever.service": template("ExecStart=/bin/sleep 1000", "TimeoutStopSec=infinity"),
		// It ignores SIGTERM, and says when.
		"deaf.service": template("Type=notify", "NotifyAccess=all",
			"ExecStart=/bin/sh -c 'trap \"\" TERM; systemd-notify --ready; while :; do sleep 0.1; done'", "TimeoutStopSec=100ms"),
	})
	c := newClient(t, h, nil)
	systemctl(t, h, "start", "one", "ever", "deaf")
	l, found, err := c.Lifecycle(t.Context(), "one.service")
	if err != nil || !found {
		t.Fatalf("%v, %v", found, err)
	}
	if !slices.Contains(l.After, "other.service") || l.StopTimeout != 90*time.Second || l.NeedReload || l.Result != "success" {
		t.Errorf("%+v", l)
	}
	if len(l.ExecStop) != 2 || !slices.Equal(l.ExecStop[0], []string{"/bin/echo", "drain", "one.service"}) {
		t.Errorf("ExecStop %q", l.ExecStop)
	}
	if l, _, err = c.Lifecycle(t.Context(), "ever.service"); err != nil || l.StopTimeout != Forever || l.ExecStop != nil {
		t.Errorf("%+v, %v", l, err)
	}
	sh(t, h, "touch /etc/systemd/system/one.service; systemctl stop deaf")
	if l, _, err = c.Lifecycle(t.Context(), "one.service"); err != nil || !l.NeedReload {
		t.Errorf("after a change of its file: %+v, %v", l, err)
	}
	if l, _, err = c.Lifecycle(t.Context(), "deaf.service"); err != nil || l.Result != "timeout" {
		t.Errorf("after it was killed: %+v, %v", l, err)
	}
	if _, found, err = c.Lifecycle(t.Context(), "none.service"); err != nil || found {
		t.Errorf("of what is not loaded: %v, %v", found, err)
	}
}
