package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/switcheroo/switcheroo/test/load"
)

// A firewall flushes the rules of one family while the daemon is dead, which
// had not saved its last switch: what the other family leads to is all that
// says what is current. When the daemon hooks the flushed family in again, the
// whole way to the service is there.
func TestOneFamilyIsFlushedWhileTheDaemonIsDead(t *testing.T) {
	t.Parallel()
	for _, b := range []backend{nft, legacy} {
		for _, v6 := range []bool{false, true} {
			tool := string(b)
			if v6 {
				tool = strings.Replace(tool, "ip", "ip6", 1)
			}
			t.Run(tool, func(t *testing.T) {
				t.Parallel()
				s := setWith(t, b, keys("StandbySec=10min"))
				s.deploy("v0")
				s.current("myapp@v0.service")
				// Nothing can be renamed to a mount point.
				const state = "/run/switcheroo/state.json"
				s.do("mount --bind " + state + " " + state)
				s.deploy("v1")
				s.systemctl("stop", "switcherood")
				s.do("umount " + state)
				if cur := s.state().Services["myapp"].Current; cur == nil || cur.Unit != "myapp@v0.service" {
					t.Fatalf("saved as current: %v", cur)
				}
				stop := s.load(load.Config{Short: 8, Rate: 500, Duration: load.MaxDuration}, fromItself, fromAnother)
				w := window{from: time.Now(), v4: !v6, v6: v6}
				s.do(fmt.Sprintf("%s -t nat -F; systemctl start --no-block switcherood; until %[1]s -t nat -S OUTPUT | grep -q SW-; do sleep 0.001; done", tool))
				w.to = time.Now()
				s.served("v1")
				s.log("taken over as found in the rules", "unit=myapp@v1.service")
				result := stop()
				excused, unexcused := 0, 0
				for _, f := range result.Failures {
					if f.Class == load.Refused && w.excuses(f) {
						excused++
					} else if unexcused++; unexcused <= 10 {
						t.Errorf("after the rules were hooked in at %s: %s", w.to.UTC().Format("15:04:05.000000"), f)
					}
				}
				t.Logf("%s: %d were refused in the %v without a daemon, %d lost after that", tool, excused, w.to.Sub(w.from), unexcused)
				if excused == 0 {
					t.Error("none was refused: the test shows nothing")
				}
			})
		}
	}
}
