package docs

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/switcheroo/switcheroo/internal/api"
	"github.com/switcheroo/switcheroo/internal/controller"
)

const apiDocument = "docs/api.md"

// section returns the text of apiDocument below a heading of the third level.
func section(t *testing.T, document, heading string) string {
	t.Helper()
	_, text, ok := strings.Cut(read(t, document), "\n### "+heading+"\n")
	if !ok {
		t.Fatalf("%s has no section %q", document, heading)
	}
	if end := regexp.MustCompile(`(?m)^##`).FindStringIndex(text); end != nil {
		text = text[:end[0]]
	}
	return text
}

var code = regexp.MustCompile("`([^`]+)`")

// rows returns what stands in code in the first column of the table that begins
// with a header.
func rows(t *testing.T, text, header string) []string {
	t.Helper()
	_, table, ok := strings.Cut(text, "| "+header+" |")
	if !ok {
		t.Fatalf("no table of %s in\n%s", header, text)
	}
	var names []string
	for i, line := range strings.Split(table, "\n") {
		if i < 2 {
			continue
		}
		if !strings.HasPrefix(line, "|") {
			break
		}
		for _, m := range code.FindAllStringSubmatch(strings.Split(line, "|")[1], -1) {
			names = append(names, m[1])
		}
	}
	slices.Sort(names)
	return names
}

// TestAPIFields: the fields of every value are those of its Go type.
func TestAPIFields(t *testing.T) {
	for _, v := range []any{api.Service{}, api.Instance{}, api.Event{}, api.Connection{}, api.Health{}, api.Check{}, api.Checked{},
		api.Diagnosis{}, api.Ailment{}, api.Examination{},
		api.Deploy{}, api.Rollback{}, api.PauseRequest{}, api.Paused{}, api.Resume{}, api.Resumed{}, api.Pause{}, api.Drain{}, api.Wait{}, api.Outcome{},
		api.Reserve{}, api.Reserved{}, api.PrivatePort{}, api.Keep{}, api.Kept{}} {
		typ := reflect.TypeOf(v)
		var want []string
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			want = append(want, name)
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, rows(t, section(t, apiDocument, typ.Name()), "field")); diff != "" {
			t.Errorf("%s of %s (-Go +document):\n%s", typ.Name(), apiDocument, diff)
		}
	}
}

// TestAPIWords: the document lists every kind of event, and every state and code
// that it uses is one.
func TestAPIWords(t *testing.T) {
	want := []string{string(api.Missed)} // which the controller does not know
	for _, k := range controller.Kinds {
		want = append(want, string(k))
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, rows(t, section(t, apiDocument, "Event"), "kind")); diff != "" {
		t.Errorf("kinds (-Go +document):\n%s", diff)
	}
	states := []string{string(api.Inactive), string(api.Failed), string(api.Starting), string(api.Current), string(api.Standby),
		string(api.Draining), string(api.Stopping), string(api.Rejected), string(api.Refused)}
	slices.Sort(states)
	if diff := cmp.Diff(states, rows(t, section(t, apiDocument, "Instance"), "state")); diff != "" {
		t.Errorf("states (-Go +document):\n%s", diff)
	}
	codes := []string{}
	for _, c := range []api.Code{api.BadRequest, api.Denied, api.NotFound, api.NoService, api.NoInstance, api.BadMethod, api.Conflict,
		api.NoRollback, api.NotPaused, api.Locked, api.StartFailed, api.ProbeFailed, api.RolledBack, api.Overtaken, api.TooLarge, api.TooMany, api.Internal,
		api.Unavailable, api.Timeout} {
		codes = append(codes, string(c))
	}
	slices.Sort(codes)
	_, errors, _ := strings.Cut(read(t, apiDocument), "\n## Errors\n")
	if diff := cmp.Diff(codes, rows(t, errors, "code")); diff != "" {
		t.Errorf("codes (-Go +document):\n%s", diff)
	}
}
