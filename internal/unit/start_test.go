package unit

import (
	"strings"
	"testing"
)

// Only what carries the section is one of ours, wherever it has it from; to find
// out loads nothing.
func TestStartAndCarries(t *testing.T) {
	t.Parallel()
	h := boot(t, map[string]string{
		"web@.service":                 template("ExecStart=/bin/sleep 1000"),
		"plain-one.service":            template("ExecStart=/bin/sleep 1000"),
		"other.service":                "[Service]\nExecStart=/bin/sleep 1000\n",
		"dropped@.service":             "[Service]\nExecStart=/bin/sleep 1000\n",
		"dropped@two.service.d/a.conf": section,
		"all-of.service":               "[Service]\nExecStart=/bin/sleep 1000\n",
		"all-.service.d/a.conf":        section,
		"gone.service.d/a.conf":        section,
	})
	systemctl(t, h, "mask", "web@masked.service")
	c := newClient(t, h, nil)
	for unit, want := range map[string]bool{
		"web@1.service": true, "plain-one.service": true, "other.service": false, "none@1.service": false, "none.service": false,
		"dropped@one.service": false, "dropped@two.service": true, "all-of.service": true, "gone.service": false, "web@masked.service": false,
	} {
		if got, err := c.Carries(t.Context(), unit); err != nil || got != want {
			t.Errorf("%s: %v, %v; want %v", unit, got, err, want)
		}
	}
	if loaded := systemctl(t, h, "list-units", "--all", "--plain", "--no-legend", "web@*", "dropped@*"); strings.Contains(loaded, "loaded") {
		t.Errorf("loaded for the question:\n%s", loaded)
	}
	if err := c.Start(t.Context(), "web@1.service"); err != nil {
		t.Error(err)
	}
	if u, err := c.Status(t.Context(), "web@1.service"); err != nil || u.Invocation == "" && u.Job != "start" {
		t.Errorf("%+v, %v", u, err)
	}
	if err := c.Start(t.Context(), "web@masked.service"); err == nil || !strings.Contains(err.Error(), "masked") {
		t.Errorf("start of what is masked: %v", err)
	}
	if err := c.Start(t.Context(), "none.service"); err == nil {
		t.Error("start of what does not exist succeeds")
	}
}
