package host

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Diagnose returns what one wants to see of a host when something went wrong:
// failed units, the journal of the daemon and of the units that Options.Files
// brought, rules, connections and listeners. Each part is bounded in size and
// time.
func (h *Host) Diagnose(ctx context.Context) string {
	journal := []string{"journalctl", "--no-pager", "--output=short-precise", "--lines=200", "--unit=switcher*"}
	for _, p := range slices.Sorted(maps.Keys(h.opts.Files)) {
		dir, unit := path.Split(p)
		if strings.HasSuffix(dir, "/systemd/system/") {
			journal = append(journal, "--unit="+strings.Replace(unit, "@.", "@*.", 1))
		}
	}
	var b strings.Builder
	for _, args := range [][]string{
		{"systemctl", "list-units", "--failed", "--no-pager"},
		{"systemctl", "list-jobs", "--no-pager"},
		journal,
		{"iptables-save"}, {"ip6tables-save"}, {"iptables-legacy-save"}, {"ip6tables-legacy-save"},
		{"nft", "list", "ruleset"},
		{"conntrack", "-L"}, {"conntrack", "-L", "-f", "ipv6"},
		{"ss", "-Hltnpe"},
		{"ip", "-brief", "address"},
	} {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		out, err := h.Run(ctx, args...)
		cancel()
		if strings.TrimSpace(out) == "" && err == nil {
			continue
		}
		fmt.Fprintf(&b, "--- %s: %s\n%s\n", h.name, strings.Join(args, " "), lastOf(strings.TrimRight(out, "\n"), 16<<10))
		if err != nil && out == "" {
			fmt.Fprintln(&b, err)
		}
	}
	return b.String()
}
