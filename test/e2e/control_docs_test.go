package e2e

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/switcheroo/switcheroo/internal/api"
)

var (
	route   = regexp.MustCompile(`(?m)^### (GET|POST) (\S+)$`)
	example = regexp.MustCompile("(?m)^curl .*$")
)

// Every example of docs/api.md does what it says, and every route has one.
func TestControlDocumentedExamples(t *testing.T) {
	t.Parallel()
	text := packaged(t, "docs/api.md")
	s := set(t, keys("StandbySec=1min"))
	s.deploy("v1")
	s.deploy("v2")
	heads := route.FindAllStringSubmatchIndex(text, -1)
	if len(heads) < 13 {
		t.Fatalf("%d routes", len(heads))
	}
	answers := map[string]any{
		"GET /v1/health": new(api.Health), "GET /v1/services": new([]api.Service), "GET /v1/services/{name}": new(api.Service),
		"GET /v1/instances": new([]api.Instance), "GET /v1/switches": new([]api.Switch), "GET /v1/connections/{name}": new([]api.Connection),
		"GET /v1/doctor": new(api.Diagnosis), "GET /v1/history": new([]api.Event), "POST /v1/check": new(api.Checked), "POST /v1/deploy": new(api.Outcome), "POST /v1/rollback": new(api.Outcome),
		"POST /v1/wait": new(api.Outcome), "POST /v1/drain": new(api.Outcome),
		"POST /v1/reserve": new(api.Reserved), "POST /v1/keep": new(api.Kept),
		"POST /v1/pause": new(api.Paused), "POST /v1/resume": new(api.Resumed),
	}
	for i, h := range heads {
		name := text[h[2]:h[3]] + " " + text[h[4]:h[5]]
		end := len(text)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		commands := example.FindAllString(text[h[0]:end], -1)
		if len(commands) == 0 {
			t.Errorf("%s has no example", name)
		}
		for _, command := range commands {
			line := strings.Replace(command, "curl ", "curl --silent --show-error --fail-with-body --max-time 20 ", 1)
			if name == "GET /v1/events" {
				line = "timeout 2 " + line + "; test $? = 124"
			}
			out, err := s.host.Run(t.Context(), "sh", "-c", line)
			if err != nil {
				t.Errorf("%s: %v\n%s", command, err, out)
				continue
			}
			switch answer := answers[name]; {
			case name == "GET /v1/events":
				var e api.Event
				first, _, _ := strings.Cut(out, "\n")
				if err := json.Unmarshal([]byte(first), &e); err != nil || e.Kind != api.Missed || strings.Count(out, "\n") < 5 {
					t.Errorf("%s: %v\n%s", command, err, out)
				}
			case name == "GET /metrics":
				if !strings.Contains(out, "switcheroo_current{") {
					t.Errorf("%s:\n%s", command, out)
				}
			case answer == nil:
				t.Errorf("the test does not know what %s answers", name)
			default:
				d := json.NewDecoder(strings.NewReader(out))
				d.DisallowUnknownFields()
				if err := d.Decode(answer); err != nil || strings.TrimSpace(out) == "[]" && !strings.Contains(name, "connections") {
					t.Errorf("%s: %v\n%s", command, err, out)
				}
			}
		}
	}
	// They were carried out.
	s.served("v1")
	s.is("myapp@v2", "inactive")
	// What is wrong is said in the way that the document says.
	for _, c := range []struct{ path, data, status, code string }{
		{"/v1/services/web", "", "404", "no-service"},
		{"/v1/nothing", "", "404", "not-found"},
		{"/v1/deploy", "", "405", "bad-method"},
		{"/v1/deploy", `{"unit":"myapp@v1","unti":1}`, "400", "bad-request"},
		{"/v1/deploy", `{"unit":7}`, "400", "bad-request"},
		{"/v1/deploy", `{"unit":"../etc/passwd"}`, "400", "bad-request"},
		{"/v1/events?since=yesterday", "", "400", "bad-request"},
		{"/v1/health?x=y", "", "400", "bad-request"},
	} {
		args := []string{"http://localhost" + c.path}
		if c.data != "" {
			args = append(args, "--data", c.data)
		}
		body, status := s.curl(args...)
		var f api.Failure
		if err := json.Unmarshal([]byte(body), &f); err != nil || f.Error == nil || string(f.Error.Code) != c.code || status != c.status {
			t.Errorf("%s %s: %s %s %v", c.path, c.data, status, body, err)
		}
	}
}
