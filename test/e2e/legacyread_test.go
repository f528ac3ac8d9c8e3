package e2e

import (
	"slices"
	"strings"
	"testing"
)

// TestLegacySwitchIsTwoCommands: in its sandbox, too, the daemon reads a legacy
// table without a command. What a switch runs is what writes, once a family.
func TestLegacySwitchIsTwoCommands(t *testing.T) {
	t.Parallel()
	const log = "/run/switcheroo/commands" // where the daemon may write
	files := map[string]string{}
	for _, name := range []string{"iptables-legacy-save", "iptables-legacy-restore", "ip6tables-legacy-save", "ip6tables-legacy-restore"} {
		files["/usr/local/sbin/"+name] = "#!/bin/sh\necho " + name + " >>" + log + "\nexec /usr/sbin/" + name + " \"$@\"\n"
	}
	s := setWith(t, legacy, files)
	s.deploy("v1")
	commands := func() []string {
		t.Helper()
		text, err := s.host.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(text)
	}
	first := commands()
	if !slices.Contains(first, "iptables-legacy-restore") {
		t.Fatalf("the commands are not noted: %q", first)
	}
	s.deploy("v2")
	s.is("myapp@v1", "inactive")
	more := commands()[len(first):]
	if want := []string{"iptables-legacy-restore", "ip6tables-legacy-restore"}; !slices.Equal(more, want) {
		t.Errorf("the second version took %q, want %q", more, want)
	}
}
