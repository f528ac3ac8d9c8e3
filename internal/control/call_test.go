package control

import (
	"strings"
	"testing"

	"github.com/switcheroo/switcheroo/internal/api"
)

func TestUnitNames(t *testing.T) {
	for name, want := range map[string]string{
		"myapp@v2":                  "myapp@v2.service",
		"myapp@v2.service":          "myapp@v2.service",
		`a\x2db`:                    `a\x2db.service`,
		"":                          "",
		"myapp@":                    "",
		"@v2":                       "",
		".service":                  "",
		"myapp@*":                   "",
		"../a":                      "",
		"a b":                       "",
		"a\n":                       "",
		"ä":                         "",
		strings.Repeat("a", 247):    strings.Repeat("a", 247) + ".service",
		strings.Repeat("a", 248):    "",
		"myapp@v2.socket":           "myapp@v2.socket.service",
		"a?":                        "",
		"[a]":                       "",
		strings.Repeat("x", 100000): "",
	} {
		got, err := unit("unit", name)
		if got != want || (err == nil) != (want != "") || err != nil && err.Code != api.BadRequest {
			t.Errorf("%.40q: %q, %v; want %q", name, got, err, want)
		}
	}
}

// A goal that a call does not have is an error that names the field.
func TestGoals(t *testing.T) {
	if g, err := goal("wait", "", api.ForSwitched, api.ForNothing); g != api.ForSwitched || err != nil {
		t.Errorf("%q, %v", g, err)
	}
	if _, err := goal("wait", api.ForDrained, api.ForSwitched); err == nil || !strings.Contains(err.Message, `"wait"`) {
		t.Errorf("%v", err)
	}
}
