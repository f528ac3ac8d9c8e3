package config

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// claim makes an instance of a service from its lines.
func claim(t *testing.T, unit, lines string) *Instance {
	t.Helper()
	in, err := ParseInstance(unit, []File{{unit, []byte("[X-Switcheroo]\n" + lines)}})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestConflicts(t *testing.T) {
	web := claim(t, "web@1.service", "Listen=443")
	for _, tc := range []struct {
		name   string
		claims []*Instance
		want   []string
	}{
		{"none", nil, nil},
		{"one", []*Instance{web}, nil},
		{"other ports", []*Instance{web, claim(t, "a.service", "Listen=80")}, nil},
		{"instances of one service", []*Instance{web, claim(t, "web@2.service", "Listen=443"), claim(t, "x.service", "Service=web\nListen=443")}, nil},
		{"the first keeps it", []*Instance{web, claim(t, "a.service", "\nListen=443")}, []string{
			`a.service:3: [X-Switcheroo] Listen=443: service "web" (web@1.service) has Listen=443 already (choose another port or address, or join that service with Service=web)`,
		}},
		{"any address and one", []*Instance{web, claim(t, "a.service", "Listen=https=192.0.2.7:443")}, []string{
			`a.service:2: [X-Switcheroo] Listen=https=192.0.2.7:443: service "web" (web@1.service) has Listen=443 already (choose another port or address, or join that service with Service=web)`,
		}},
		{"one address and any", []*Instance{claim(t, "a.service", "Listen=[2001:db8::1]:443"), web}, []string{
			`web@1.service:2: [X-Switcheroo] Listen=443: service "a" (a.service) has Listen=[2001:db8::1]:443 already (choose another port or address, or join that service with Service=a)`,
		}},
		{"the same address", []*Instance{claim(t, "a.service", "Listen=192.0.2.7:443"), claim(t, "b.service", "Listen=192.0.2.7:443")}, []string{
			`b.service:2: [X-Switcheroo] Listen=192.0.2.7:443: service "a" (a.service) has Listen=192.0.2.7:443 already (choose another port or address, or join that service with Service=a)`,
		}},
		{"other addresses", []*Instance{claim(t, "a.service", "Listen=192.0.2.7:443"), claim(t, "b.service", "Listen=192.0.2.8:443"), claim(t, "c.service", "Listen=[::1]:443")}, nil},
		{"other scopes", []*Instance{claim(t, "a.service", "Listen=443\nScope=network"), claim(t, "b.service", "Listen=443\nScope=localhost")}, nil},
		{"scopes in common", []*Instance{claim(t, "a.service", "Listen=443\nScope=network"), claim(t, "b.service", "Listen=443")}, []string{
			`b.service:2: [X-Switcheroo] Listen=443: service "a" (a.service) has Listen=443 already (choose another port or address, or join that service with Service=a)`,
		}},
		{"who is refused holds nothing", []*Instance{web, claim(t, "a.service", "Listen=80 x=443\nPort=8080 x=8443"), claim(t, "b.service", "Listen=80")}, []string{
			`a.service:2: [X-Switcheroo] Listen=x=443: service "web" (web@1.service) has Listen=443 already (choose another port or address, or join that service with Service=web)`,
		}},
		{"every endpoint that another holds", []*Instance{web, claim(t, "a.service", "Listen=80"), claim(t, "b.service", "Listen=x=443\nListen=y=80 z=8000\nPort=x=1 y=2 z=3")}, []string{
			`b.service:2: [X-Switcheroo] Listen=x=443: service "web" (web@1.service) has Listen=443 already (choose another port or address, or join that service with Service=web)`,
			`b.service:3: [X-Switcheroo] Listen=y=80: service "a" (a.service) has Listen=80 already (choose another port or address, or join that service with Service=a)`,
		}},
		{"one instance of two", []*Instance{web, claim(t, "a@1.service", "Listen=80"), claim(t, "a@2.service", "Listen=443")}, []string{
			`a@2.service:2: [X-Switcheroo] Listen=443: service "web" (web@1.service) has Listen=443 already (choose another port or address, or join that service with Service=web)`,
		}},
		{"from no file", []*Instance{web, {Unit: "a.service", Service: "a", Listen: []Listen{{Port: 443}}, Scope: Everyone}}, []string{
			`a.service: [X-Switcheroo] Listen=443: service "web" (web@1.service) has Listen=443 already (choose another port or address, or join that service with Service=web)`,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, c := range Conflicts(tc.claims) {
				got = append(got, c.Err().Error())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestConflictNames(t *testing.T) {
	web, a := claim(t, "web.service", "Listen=443"), claim(t, "a.service", "Listen=80 b=443\nPort=8080 b=8443")
	want := []Conflict{{
		Refused: a, Listen: Listen{Name: "b", Port: 443}, ListenAt: Pos{"a.service", 2},
		Holder: web, Held: Listen{Port: 443},
	}}
	if diff := cmp.Diff(want, Conflicts([]*Instance{web, a}), anAddr); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func BenchmarkConflicts(b *testing.B) {
	var claims []*Instance
	for i := range 1000 {
		claims = append(claims, &Instance{Service: fmt.Sprint(i), Scope: Everyone, Listen: []Listen{{Port: uint16(1 + i/2)}}})
	}
	for b.Loop() {
		Conflicts(claims)
	}
}
