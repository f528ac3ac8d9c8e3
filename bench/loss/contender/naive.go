package contender

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/switcheroo/switcheroo/bench/loss/arena"
	"github.com/switcheroo/switcheroo/bench/loss/server"
)

// Naive is the scheme of the original library: the new version inserts its own
// redirect before the old one's, deletes that by its number in the chain, and
// sends the old process a SIGTERM, all at once. Its comments are
// "SWITCHEROO:ns=NAME:port=N:pid=N".
type Naive struct{}

func (Naive) Name() string { return "naive" }

func (Naive) About() string {
	return "insert a REDIRECT to the new one, delete the old one's by number, SIGTERM to the old one at once"
}

func (Naive) Ours() bool { return false }

func (Naive) Supports(k server.Kind) error {
	return supports(k, server.Number, "a numbered port")
}

func (Naive) Prepare(services []Service) (Preparation, error) {
	return prepare(services, func(s Service) map[string]string {
		return instances(s, server.Listen{How: server.Number, Port: "${PORT}"})
	}), nil
}

func (c Naive) Start(ctx context.Context, a *arena.Arena, s Service, version int) error {
	_, err := c.redirect(ctx, a, s, version, "")
	return err
}

func (c Naive) Switch(ctx context.Context, a *arena.Arena, s Service, version int) (t Times, err error) {
	t.Began = time.Now()
	t.Moved, err = c.redirect(ctx, a, s, version, instanceName(s, version-1))
	return t, err
}

func (Naive) Settle(ctx context.Context, a *arena.Arena, s Service) error {
	return settleInstances(ctx, a, s)
}

// redirect starts a version, makes its rules the only ones of the service and
// stops the old unit. It is one script, since the library needed only
// milliseconds for it.
func (Naive) redirect(ctx context.Context, a *arena.Arena, s Service, version int, old string) (moved time.Time, err error) {
	port, err := startInstance(ctx, a, s, version)
	if err != nil {
		return moved, err
	}
	pid, err := a.Host.Property(ctx, instanceName(s, version), "MainPID")
	if err != nil {
		return moved, err
	}
	ours := fmt.Sprintf("SWITCHEROO:ns=%s:", s.Name)
	comment := fmt.Sprintf("%sport=%d:pid=%s", ours, port, pid)
	out, err := a.Host.Run(ctx, "sh", "-c", naiveScript, "naive", fmt.Sprint(s.Port), fmt.Sprint(port), ours, comment, old)
	if err != nil {
		return moved, err
	}
	ns, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
	if err != nil {
		return moved, fmt.Errorf("when the rules were there: %w", err)
	}
	return time.Unix(0, ns), nil
}

// naiveScript prints when the new rules were there. Its arguments are the
// public port, the private one, what all comments of the service begin with,
// the new comment, and the unit to stop. Rules are needed for other hosts and
// for this one.
const naiveScript = `set -e
public=$1 private=$2 ours=$3 comment=$4 old=$5
for iptables in iptables ip6tables; do
	for hook in "PREROUTING" "OUTPUT -o lo"; do
		chain=${hook%% *}
		$iptables -w 5 -t nat -I $hook -p tcp --dport $public -m comment --comment $comment -j REDIRECT --to-ports $private
		moved=$(date +%s%N)
		$iptables -w 5 -t nat -n -L $chain --line-numbers |
			grep -F "/* $ours" | grep -vF "/* $comment " | cut -d' ' -f1 | sort -rn |
			while read -r number; do
				$iptables -w 5 -t nat -D $chain "$number"
			done
	done
done
echo $moved
[ -z "$old" ] || exec systemctl stop --no-block "$old"
`
