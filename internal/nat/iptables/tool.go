package iptables

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	goiptables "github.com/coreos/go-iptables/iptables"

	"github.com/switcheroo/switcheroo/internal/nat"
)

// Variant is one of the two iptables there are.
type Variant uint8

const (
	Auto   Variant = iota // what the command iptables is on this host
	NFT                   // iptables-nft: nftables in the kernel
	Legacy                // iptables-legacy: x_tables in the kernel
)

// String returns "auto", "nft" or "legacy".
func (v Variant) String() string {
	switch v {
	case Auto:
		return "auto"
	case NFT:
		return "nft"
	case Legacy:
		return "legacy"
	}
	return fmt.Sprintf("Variant(%d)", uint8(v))
}

func (v Variant) other() Variant {
	if v == NFT {
		return Legacy
	}
	return NFT
}

// tool is the commands of one variant for one family.
type tool struct {
	family  nat.Family
	variant Variant
	save    string // path
	restore string // path
	wait    int    // seconds, for the xtables lock
	// ipt lists the rules of others. It takes no context: each of its calls is
	// bounded by the wait alone, so ctx is looked at between them.
	ipt  *goiptables.IPTables
	name string // as an operator types it

	ahead ahead

	// nft: what the last read returned, or a move was proven to have left
	known        *snapshot
	knownAt      generation
	knownCommits uint32
	commits      func() uint32 // of this process, which are elsewhere as long as known is set
}

// findTool finds the commands of a variant, or of whatever the plain command
// is (Auto).
func findTool(ctx context.Context, family nat.Family, variant Variant, wait int) (*tool, error) {
	plain := "iptables"
	if family == nat.IPv6 {
		plain = "ip6tables"
	}
	actual, plainErr := variantOf(ctx, plain)
	if variant == Auto {
		if plainErr != nil {
			return nil, plainErr
		}
		variant = actual
	}
	t := &tool{family: family, variant: variant, wait: wait}
	// The explicit name, where there is one, is right whatever "iptables" is.
	prefix, path := "", ""
	for _, name := range []string{plain + "-" + variant.String(), plain} {
		if name == plain && actual != variant {
			continue
		}
		if p, err := lookPath(name); err == nil {
			prefix, path = name, p
			break
		}
	}
	if prefix == "" {
		return nil, fmt.Errorf("%s-%v: %w", plain, variant, errNoCommand)
	}
	t.name = prefix
	if actual == variant {
		t.name = plain
	}
	var err1, err2 error
	t.save, err1 = lookPath(prefix + "-save")
	t.restore, err2 = lookPath(prefix + "-restore")
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	protocol := goiptables.ProtocolIPv4
	if family == nat.IPv6 {
		protocol = goiptables.ProtocolIPv6
	}
	ipt, err := goiptables.New(goiptables.IPFamily(protocol), goiptables.Path(path), goiptables.Timeout(wait))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if v1, v2, v3 := ipt.GetIptablesVersion(); cmp.Or(cmp.Compare(v1, 1), cmp.Compare(v2, 6), cmp.Compare(v3, 2)) < 0 {
		return nil, fmt.Errorf("%s: version %d.%d.%d is too old: iptables-restore waits for the xtables lock since 1.6.2", path, v1, v2, v3)
	}
	t.ipt = ipt
	return t, nil
}

// variantOf asks a command which variant it is. Versions before 1.8 know of one
// variant only, and say nothing.
func variantOf(ctx context.Context, name string) (Variant, error) {
	path, err := lookPath(name)
	if err != nil {
		return Auto, err
	}
	version, err := run(ctx, commandTimeout, "", path, "--version")
	if err != nil {
		return Auto, err
	}
	if strings.Contains(version, "nf_tables") {
		return NFT, nil
	}
	return Legacy, nil
}

func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, errNoCommand)
	}
	return path, nil
}

// read returns what is ours in table nat.
func (t *tool) read(ctx context.Context) (snapshot, error) {
	s, _, err := t.readSeen(ctx)
	return s, err
}

// readSeen is read. Of legacy it also returns a fingerprint that the table had
// then, or just before: what changes after the read, shows.
func (t *tool) readSeen(ctx context.Context) (snapshot, fingerprint, error) {
	if t.variant == Legacy {
		return t.readLegacy(ctx)
	}
	s, err := t.readNFT(ctx)
	return s, fingerprint{}, err
}

func (t *tool) readNFT(ctx context.Context) (snapshot, error) {
	// Before the read: what is committed after it, counts.
	now, err := currentGeneration(ctx)
	if err != nil {
		return t.readTable(ctx)
	}
	if t.knows(now) {
		return *t.known, nil
	}
	own := t.own()
	s, err := t.readTable(ctx)
	if err != nil {
		return snapshot{}, err
	}
	t.learn(s, now, own)
	return s, nil
}

// learn keeps what there is at a generation, with own commits up to it.
func (t *tool) learn(s snapshot, at generation, own uint32) {
	t.known, t.knownAt, t.knownCommits = &s, at, own
}

// knows reports whether what is known is what there is: all that nftables has
// committed since is our own, and elsewhere, as a write here forgets it.
func (t *tool) knows(now generation) bool {
	return t.known != nil && now == t.knownAt+generation(t.own()-t.knownCommits)
}

// own counts those commits.
func (t *tool) own() uint32 {
	if t.commits == nil {
		return 0
	}
	return t.commits()
}

func (t *tool) readTable(ctx context.Context) (snapshot, error) {
	text, err := run(ctx, commandTimeout, "", t.save, "-t", "nat")
	if err != nil {
		return snapshot{}, fmt.Errorf("read %v rules: %w", t.family, err)
	}
	s, err := parseSave(text)
	if err != nil {
		return snapshot{}, fmt.Errorf("read %v rules: %s: %w", t.family, filepath.Base(t.save), err)
	}
	return s, nil
}

// write commits the output of diff, and says whether a command did that had been
// started ahead.
func (t *tool) write(ctx context.Context, script string) (ahead bool, err error) {
	// A wait that outlasts ctx would end in a kill, without a reason given.
	wait := t.wait
	if end, ok := ctx.Deadline(); ok {
		const toSaySo = 500 * time.Millisecond
		wait = max(1, min(wait, int((time.Until(end)-toSaySo).Seconds())))
	}
	timeout := commandTimeout + time.Duration(wait)*time.Second
	t.known = nil
	argv := t.restoring(wait)
	ahead, err = t.ahead.write(ctx, timeout, script, argv)
	if !ahead {
		_, err = run(ctx, timeout, script, argv...)
	}
	if err != nil {
		return ahead, fmt.Errorf("write %v rules: %w", t.family, err)
	}
	return ahead, nil
}

// restoring is the command that commits a script, and waits so many seconds for
// the xtables lock.
func (t *tool) restoring(wait int) []string {
	return []string{t.restore, "--noflush", "-w", strconv.Itoa(wait)}
}
