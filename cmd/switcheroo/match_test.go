package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/switcheroo/switcheroo/internal/api"
)

var twoServices = []api.Service{
	{Name: "myapp", Instances: []api.Instance{{Unit: "myapp@v1.service", Version: "v1"}, {Unit: "myapp@v2.service", Version: "v2"}}},
	{Name: "front", Instances: []api.Instance{{Unit: "nginx@a.service", Version: "a"}, {Unit: "plain.service"}}},
}

func TestPick(t *testing.T) {
	for patterns, want := range map[string]string{
		"":                          "myapp: v1 v2; front: a plain;",
		"myapp":                     "myapp: v1 v2;",
		"myapp@v1":                  "myapp: v1;",
		"myapp@v2.service":          "myapp: v2;",
		"*@v1 plain":                "myapp: v1; front: plain;",
		"f*":                        "front: a plain;",
		"myapp@v[12] front nginx@*": "myapp: v1 v2; front: a plain;",
		"mayp":                      `no service or instance "mayp" (did you mean "myapp"?)`,
		"plian":                     `no service or instance "plian" (did you mean "plain"?)`,
		"x*":                        `no service or instance matches "x*" (there is myapp, front)`,
		"quite-another":             `no service or instance "quite-another" (there is myapp, front)`,
		"myapp [":                   `pattern "[": a bracket is not closed (patterns are those of a shell: "web*", "myapp@v?", "myapp@v[12]")`,
	} {
		picked, err := pick(twoServices, strings.Fields(patterns))
		got := ""
		for i := range picked {
			got += picked[i].Name + ":"
			for j := range picked[i].Instances {
				got += " " + versionOf(&picked[i].Instances[j])
			}
			got += "; "
		}
		if err != nil {
			var h interface{ Hint() string }
			errors.As(err, &h)
			got = err.Error() + " (" + h.Hint() + ")"
		}
		if got = strings.TrimSpace(got); got != want {
			t.Errorf("%q: %s\nwant %s", patterns, got, want)
		}
	}
}

// A version alone is one of the service's template.
func TestInstanceOf(t *testing.T) {
	for name, want := range map[string]string{
		"v1": "myapp@v1.service", "v9": "myapp@v9.service", "myapp@v2": "myapp@v2.service", "other@v1": "other@v1.service", "myapp@v1.service": "myapp@v1.service",
	} {
		if got := instanceOf(&twoServices[0], name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if got := instanceOf(&twoServices[1], "plain"); got != "plain.service" {
		t.Error(got)
	}
	if got := instanceOf(&twoServices[1], "b"); got != "nginx@b.service" {
		t.Error(got)
	}
}

// Every kind of event has words, and none of them are the daemon's own.
func TestSentences(t *testing.T) {
	for _, k := range []api.EventKind{api.Probing, api.NotReady, api.InstanceRefuse, api.Superseded, api.Switching, api.Switched,
		api.SwitchedBack, api.Withdrawn, api.Released, api.Quiesced, api.Enabled, api.DrainBegan, api.Drained, api.DrainExpired,
		api.StopBegan, api.Stopped, api.Ended, api.Changed, api.Renamed, api.Repaired, api.RulesFailed} {
		e := api.Event{Kind: k, Message: "as logged", Unit: "myapp@v2.service", From: "myapp@v1.service", Reason: "a reason", Took: 5e6, Connections: 2}
		got := sentence(&e)
		if strings.Contains(got, "as logged") || strings.Contains(got, ".service") && k != api.Renamed || got == "" {
			t.Errorf("%s: %q", k, got)
		}
	}
	later := api.Event{Kind: "of-a-later-daemon", Message: "something new", Reason: "a reason"}
	if got := sentence(&later); got != "something new: a reason" {
		t.Error(got)
	}
}
