package controller

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const soundState = `{"services": {"myapp": {
	"current": {"unit": "myapp@v1.service", "invocation": "myapp-v1-1", "ready_at": 5, "since": 6,
		"targets": [{"Endpoint": {"Addr": "", "Port": 443}, "Port": 10001, "Families": 3}],
		"instance": {"Unit": "myapp@v1.service", "Service": "myapp", "Listen": [{"Name": "", "Addr": "", "Port": 443}], "Scope": 3}},
	"old": [{"unit": "myapp@v0.service", "invocation": "myapp-v0-1", "ready_at": 1, "since": 6, "standby_until": 7, "quiesced_at": 8,
		"targets": [{"Endpoint": {"Addr": "", "Port": 443}, "Port": 10000, "Families": 3}],
		"instance": {"Unit": "myapp@v0.service", "Service": "myapp", "Listen": [{"Name": "", "Addr": "", "Port": 443}], "Scope": 3}}],
	"refused": {"myapp-v2-1": {"unit": "myapp@v2.service", "reason": "why", "asked": {"Unit": "myapp@v2.service"}, "at": 9, "tries": 1}}}}}`

func TestMend(t *testing.T) {
	const a = `{"unit": "a", "invocation": "1", "targets": [{"Endpoint": {"Port": 443}, "Port": 1000, "Families": 3}], "instance": {"Scope": 3}}`
	const b = `{"unit": "b", "invocation": "2", "targets": [{"Endpoint": {"Port": 443}, "Port": 1001, "Families": 1}], "instance": {"Scope": 3}}`
	tests := map[string]struct {
		state string
		out   []string
		left  []string // InvocationIDs
	}{
		"sound":                    {soundState, nil, []string{"myapp-v1-1", "myapp-v0-1"}},
		"empty":                    {`{}`, nil, nil},
		"no services":              {`{"services": null}`, nil, nil},
		"no entry":                 {`{"services": {"x": null}}`, []string{`the entry of service "x"`}, nil},
		"no name":                  {`{"services": {"": {}}}`, []string{`the entry of service ""`}, nil},
		"no old one":               {`{"services": {"x": {"old": [null]}}}`, []string{`an old activation of service "x"`}, nil},
		"nothing in it":            {`{"services": {"x": {"current": {}, "down": true, "old": [{}]}}}`, []string{`the current activation of service "x"`, `an old activation of service "x"`}, nil},
		"one twice":                {`{"services": {"x": {"current": ` + a + `, "old": [` + a + `]}}}`, []string{`an old activation of service "x"`}, []string{"1"}},
		"one in two services":      {`{"services": {"x": {"old": [` + a + `]}, "y": {"old": [` + a + `]}}}`, []string{`an old activation of service "y"`}, []string{"1"}},
		"two with one endpoint":    {`{"services": {"x": {"current": ` + a + `}, "y": {"current": ` + b + `}}}`, []string{`the current activation of service "y"`}, []string{"1"}},
		"one of them down":         {`{"services": {"x": {"current": ` + a + `, "down": true}, "y": {"current": ` + b + `}}}`, nil, []string{"1", "2"}},
		"another service's name":   {`{"services": {"x": {"current": ` + a + `}}}`, nil, []string{"1"}},
		"down without any current": {`{"services": {"x": {"down": true, "old": [` + a + `]}}}`, nil, []string{"1"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var s State
			if err := json.Unmarshal([]byte(tt.state), &s); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.out, s.mend()); diff != "" {
				t.Errorf("taken out (-want +got):\n%s", diff)
			}
			var left []string
			for _, name := range sortedKeys(s.Services) {
				svc := s.Services[name]
				if svc.Current != nil {
					left = append(left, svc.Current.ID)
					if svc.Current.Instance.Service != name {
						t.Errorf("%s belongs to %q", svc.Current.ID, svc.Current.Instance.Service)
					}
				}
				for _, o := range svc.Old {
					left = append(left, o.ID)
				}
			}
			if !slices.Equal(left, tt.left) {
				t.Errorf("left: %q, want %q", left, tt.left)
			}
			if err := s.rules().Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Whatever a state.json says, a daemon works that reads it: the next deploy
// gets the traffic, and nothing that it does is against the rules.
func FuzzState(f *testing.F) {
	f.Add([]byte(soundState))
	f.Add([]byte(`{"services": {"": null, "x": {"current": {}, "old": [null, {}], "refused": {"": {}}}}}`))
	f.Add([]byte(`{"services": {"myapp": {"down": true, "by_boot": true, "old": [{"unit": "u", "invocation": "1", "stopping": true}]}}}`))
	f.Add([]byte(`{"services": 7`))
	f.Fuzz(func(t *testing.T, state []byte) {
		bubble(t, func(h *host) {
			h.state = state
			h.start(v1, app{busy: time.Second})
			time.Sleep(10 * time.Millisecond)
			h.run()
			h.start("new@v9.service", app{file: "Service=myapp\nListen=443"})
			h.serves("myapp", "new@v9.service")
			time.Sleep(10 * time.Minute)
			if got := h.serving("myapp"); got != "new@v9.service" {
				t.Errorf("%q serves", got)
			}
		})
	})
}
