package e2e

import (
	"slices"
	"strings"
	"testing"
)

// TestSwitchIsTwoCommands: in its sandbox, too, the daemon reads a legacy table
// without a command; and it knows its own commits to nftables from another
// program's, here where processes have other numbers than in the kernel's events.
// What a switch runs is what writes, once a family.
func TestSwitchIsTwoCommands(t *testing.T) {
	for _, b := range []backend{nft, legacy} {
		t.Run(string(b), func(t *testing.T) {
			t.Parallel()
			const log = "/run/switcheroo/commands" // where the daemon may write
			variant := strings.TrimPrefix(string(b), "iptables-")
			files := map[string]string{}
			for _, name := range []string{"iptables", "ip6tables"} {
				for _, what := range []string{"save", "restore"} {
					command := name + "-" + variant + "-" + what
					files["/usr/local/sbin/"+command] = "#!/bin/sh\necho " + name + "-" + what + " >>" + log + "\nexec /usr/sbin/" + command + " \"$@\"\n"
				}
			}
			s := setWith(t, b, files)
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
			if !slices.Contains(first, "iptables-restore") {
				t.Fatalf("the commands are not noted: %q", first)
			}
			s.deploy("v2")
			s.is("myapp@v1", "inactive")
			more := commands()[len(first):]
			slices.Sort(more) // they are started ahead, side by side
			if want := []string{"ip6tables-restore", "iptables-restore"}; !slices.Equal(more, want) {
				t.Errorf("the second version took %q, want %q", more, want)
			}
		})
	}
}
