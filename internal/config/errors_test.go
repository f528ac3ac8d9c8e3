package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestErrors is the list of everything that can be wrong with a unit, and what
// its owner reads then. Lines count from the header, which is line 1; each
// case is one file, and its section is in force unless it has its own header.
func TestErrors(t *testing.T) {
	for _, tc := range []struct {
		name, unit, text string
		want             []string
	}{
		{"unknown key", "", "Listen=443\nProt=1", []string{
			`u:3: [X-Switcheroo] unknown key "Prot" (did you mean "Port"?)`,
		}},
		{"wrong case", "", "listen=443\nListen=443", []string{
			`u:2: [X-Switcheroo] unknown key "listen" (did you mean "Listen"?)`,
		}},
		{"unlike any key", "", "Listen=443\nExecStart=/bin/true", []string{
			`u:3: [X-Switcheroo] unknown key "ExecStart" (expected DrainSec, Guard, Listen, Port, Probe, ProbeTimeoutSec, Scope, Service or StandbySec)`,
		}},
		{"a key of the daemon", "", "Listen=443\nBackend=iptables", []string{
			`u:3: [X-Switcheroo] unknown key "Backend" (it belongs in [Switcherood] of /etc/switcheroo/switcherood.conf)`,
		}},
		{"no equals sign", "", "Listen=443\nGuard yes", []string{
			`u:3: [X-Switcheroo] no "=" in "Guard yes" (write "Key=value", and comments behind a "#" on lines of their own)`,
		}},
		{"no key", "", "Listen=443\n= yes", []string{
			`u:3: [X-Switcheroo] no key before the "=" in "= yes" (expected DrainSec, Guard, Listen, Port, Probe, ProbeTimeoutSec, Scope, Service or StandbySec)`,
		}},
		{"not UTF-8", "", "Listen=443\nGuard=\xff", []string{
			`u:3: [X-Switcheroo] the line is not valid UTF-8 (save the file as UTF-8)`,
		}},
		{"control characters", "", "Listen=443\nGuard=a\x01b\nGu\x1bard=1", []string{
			`u:3: [X-Switcheroo] Guard="a\x01b": not a boolean (expected yes or no)`,
			`u:4: [X-Switcheroo] unknown key "Gu\x1bard" (did you mean "Guard"?)`,
		}},
		{"no Listen=", "", "Guard=no", []string{
			`u:1: [X-Switcheroo] no Listen= (say which port clients dial, for example "Listen=443")`,
		}},
		{"Listen= reset", "", "Listen=443\nListen=", []string{
			`u:1: [X-Switcheroo] no Listen= (say which port clients dial, for example "Listen=443")`,
		}},
		{"all at once, in order", "", "Guard=maybe\nListen=x\nProbe=x\nFoo=1\nScope=x", []string{
			`u:2: [X-Switcheroo] Guard=maybe: not a boolean (expected yes or no)`,
			`u:3: [X-Switcheroo] Listen=x: "x" is not a port (a port is a number from 1 to 65535)`,
			`u:4: [X-Switcheroo] Probe=x: unknown probe "x" (expected tcp, http:/PATH or none)`,
			`u:5: [X-Switcheroo] unknown key "Foo" (expected DrainSec, Guard, Listen, Port, Probe, ProbeTimeoutSec, Scope, Service or StandbySec)`,
			`u:6: [X-Switcheroo] Scope=x: unknown scope "x" (expected network, localhost or both)`,
		}},

		{"header in lower case", "", "[x-switcheroo]\nListen=443", []string{
			`u:1: unknown section "[x-switcheroo]" (did you mean "[X-Switcheroo]"?)`,
		}},
		{"header misspelt", "", "[X-Switchero]\nListen=443", []string{
			`u:1: unknown section "[X-Switchero]" (did you mean "[X-Switcheroo]"?)`,
		}},
		{"header with blanks", "", "[ X-Switcheroo ]\nListen=443", []string{
			`u:1: unknown section "[ X-Switcheroo ]" (did you mean "[X-Switcheroo]"?)`,
		}},
		{"header without X-", "", "[Switcheroo]\nListen=443", []string{
			`u:1: unknown section "[Switcheroo]" (did you mean "[X-Switcheroo]"?)`,
		}},
		{"header of the daemon", "", "[X-Switcherood]\nListen=443", []string{
			`u:1: unknown section "[X-Switcherood]" (did you mean "[X-Switcheroo]"?)`,
		}},
		{"section of the daemon", "", "[Switcherood]\nListen=443", []string{
			`u:1: misplaced section "[Switcherood]" (expected [X-Switcheroo] here)`,
		}},
		{"header not closed", "", "[X-Switcheroo\nListen=443", []string{
			`u:1: malformed section header "[X-Switcheroo" (write [X-Switcheroo] on a line of its own)`,
		}},
		{"comment behind the header", "", "[X-Switcheroo] # ours\nListen=443", []string{
			`u:1: malformed section header "[X-Switcheroo] # ours" (write [X-Switcheroo] on a line of its own)`,
		}},
		{"other header not closed", "", "Listen=443\n[Service\nGuard=maybe", []string{
			`u:3: malformed section header "[Service" (a header is a name in brackets, "[Name]", on a line of its own)`,
		}},

		{"not a port", "", "Listen=http", []string{
			`u:2: [X-Switcheroo] Listen=http: "http" is not a port (a port is a number from 1 to 65535)`,
		}},
		{"port 0", "", "Listen=0", []string{
			`u:2: [X-Switcheroo] Listen=0: port 0 is out of range (a port is a number from 1 to 65535)`,
		}},
		{"port out of range", "", "Listen=65536", []string{
			`u:2: [X-Switcheroo] Listen=65536: port 65536 is out of range (a port is a number from 1 to 65535)`,
		}},
		{"port far out of range", "", "Listen=99999999999999999999999", []string{
			`u:2: [X-Switcheroo] Listen=99999999999999999999999: port 99999999999999999999999 is out of range (a port is a number from 1 to 65535)`,
		}},
		{"port negative", "", "Listen=-1", []string{
			`u:2: [X-Switcheroo] Listen=-1: "-1" is not a port (a port is a number from 1 to 65535)`,
		}},
		{"port with zeros", "", "Listen=0443", []string{
			`u:2: [X-Switcheroo] Listen=0443: port 0443 begins with a zero (a port is a number from 1 to 65535)`,
		}},
		{"port with protocol", "", "Listen=443/tcp", []string{
			`u:2: [X-Switcheroo] Listen=443/tcp: TCP is all there is (write 443)`,
		}},
		{"port range", "", "Listen=8000-8010", []string{
			`u:2: [X-Switcheroo] Listen=8000-8010: "8000-8010" is not a port (a port is a number from 1 to 65535)`,
		}},
		{"empty word", "", `Listen=""`, []string{
			`u:2: [X-Switcheroo] Listen=: no port (expected PORT, ADDRESS:PORT or [IPV6]:PORT, with NAME= before it if there are several)`,
		}},
		{"open quote", "", `Listen="443`, []string{
			`u:2: [X-Switcheroo] Listen="443: a " is never closed (write it without quotes)`,
		}},
		{"comment behind the value", "", "Listen=443 # public", []string{
			`u:2: [X-Switcheroo] Listen=443 # public: "#" begins no comment here (a comment needs a line of its own)`,
		}},
		{"comma", "", "Listen=443,80", []string{
			`u:2: [X-Switcheroo] Listen=443,80: "443,80" is not a port (a port is a number from 1 to 65535)`,
		}},
		{"name without port", "", "Listen=https=", []string{
			`u:2: [X-Switcheroo] Listen=https=: no port (expected PORT, ADDRESS:PORT or [IPV6]:PORT, with NAME= before it if there are several)`,
		}},
		{"port without name", "", "Listen==443", []string{
			`u:2: [X-Switcheroo] Listen==443: no name before the "=" (a name is a letter, then up to 31 letters, digits, _ or -)`,
		}},
		{"bad name", "", "Listen=4a=443", []string{
			`u:2: [X-Switcheroo] Listen=4a=443: "4a" cannot name an endpoint (a name is a letter, then up to 31 letters, digits, _ or -)`,
		}},
		{"long name", "", "Listen=" + strings.Repeat("a", 33) + "=443", []string{
			`u:2: [X-Switcheroo] Listen=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=443: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" cannot name an endpoint (a name is a letter, then up to 31 letters, digits, _ or -)`,
		}},
		{"address without port", "", "Listen=192.0.2.7", []string{
			`u:2: [X-Switcheroo] Listen=192.0.2.7: an address without a port (write 192.0.2.7:PORT)`,
		}},
		{"IPv6 without port", "", "Listen=[2001:db8::1]", []string{
			`u:2: [X-Switcheroo] Listen=[2001:db8::1]: an address without a port (write [2001:db8::1]:PORT)`,
		}},
		{"IPv6 without brackets", "", "Listen=2001:db8::1:443", []string{
			`u:2: [X-Switcheroo] Listen=2001:db8::1:443: an IPv6 address without brackets (write [2001:db8::1]:443)`,
		}},
		{"full IPv6 without brackets", "", "Listen=2001:db8:0:0:0:0:0:1:443", []string{
			`u:2: [X-Switcheroo] Listen=2001:db8:0:0:0:0:0:1:443: an IPv6 address without brackets (write [2001:db8::1]:443)`,
		}},
		{"IPv6 without brackets or port", "", "Listen=2001:db8::1", []string{
			`u:2: [X-Switcheroo] Listen=2001:db8::1: an address without a port (write [2001:db8::1]:PORT)`,
		}},
		{"IPv4 in brackets", "", "Listen=[192.0.2.7]:443", []string{
			`u:2: [X-Switcheroo] Listen=[192.0.2.7]:443: brackets are for IPv6 (write 192.0.2.7:443)`,
		}},
		{"bracket not closed", "", "Listen=[2001:db8::1:443", []string{
			`u:2: [X-Switcheroo] Listen=[2001:db8::1:443: a "[" without its "]" (expected PORT, ADDRESS:PORT or [IPV6]:PORT, with NAME= before it if there are several)`,
		}},
		{"localhost", "", "Listen=localhost:8080", []string{
			`u:2: [X-Switcheroo] Listen=localhost:8080: "localhost" is a name, not an address (write 127.0.0.1:8080, or 8080 with Scope=localhost)`,
		}},
		{"host name", "", "Listen=www.example.com:443", []string{
			`u:2: [X-Switcheroo] Listen=www.example.com:443: "www.example.com" is not an address (write the address itself, names are not looked up)`,
		}},
		{"not quite an address", "", "Listen=192.0.2.777:443", []string{
			`u:2: [X-Switcheroo] Listen=192.0.2.777:443: "192.0.2.777" is not an address (write the address itself, names are not looked up)`,
		}},
		{"colon and port", "", "Listen=:443", []string{
			`u:2: [X-Switcheroo] Listen=:443: no address before the colon (write 443 for every address)`,
		}},
		{"address and colon", "", "Listen=192.0.2.7:", []string{
			`u:2: [X-Switcheroo] Listen=192.0.2.7:: no port (a port is a number from 1 to 65535)`,
		}},
		{"zone", "", "Listen=[fe80::1%eth0]:443", []string{
			`u:2: [X-Switcheroo] Listen=[fe80::1%eth0]:443: an address with a zone (leave "%ZONE" out, the address is enough)`,
		}},
		{"zone, escaped", "", "Listen=[fe80::1%%eth0]:443", []string{
			`u:2: [X-Switcheroo] Listen=[fe80::1%%eth0]:443 ("[fe80::1%eth0]:443"): an address with a zone (leave "%ZONE" out, the address is enough)`,
		}},
		{"IPv4-mapped", "", "Listen=[::ffff:192.0.2.7]:443", []string{
			`u:2: [X-Switcheroo] Listen=[::ffff:192.0.2.7]:443: an IPv4 address in IPv6 form (write 192.0.2.7:443)`,
		}},
		{"any IPv4", "", "Listen=0.0.0.0:443", []string{
			`u:2: [X-Switcheroo] Listen=0.0.0.0:443: 0.0.0.0 is no address that clients dial (write 443 for every address, IPv4 and IPv6)`,
		}},
		{"any IPv6", "", "Listen=[::]:443", []string{
			`u:2: [X-Switcheroo] Listen=[::]:443: :: is no address that clients dial (write 443 for every address, IPv4 and IPv6)`,
		}},
		{"multicast", "", "Listen=224.0.0.1:443", []string{
			`u:2: [X-Switcheroo] Listen=224.0.0.1:443: no TCP connection goes to 224.0.0.1 (write an address of this host, or the port alone)`,
		}},
		{"IPv6 multicast", "", "Listen=[ff02::1]:443", []string{
			`u:2: [X-Switcheroo] Listen=[ff02::1]:443: no TCP connection goes to ff02::1 (write an address of this host, or the port alone)`,
		}},
		{"broadcast", "", "Listen=255.255.255.255:443", []string{
			`u:2: [X-Switcheroo] Listen=255.255.255.255:443: no TCP connection goes to 255.255.255.255 (write an address of this host, or the port alone)`,
		}},
		{"twice", "", "Listen=443\nListen=443", []string{
			`u:3: [X-Switcheroo] Listen=443: overlaps Listen=443 in line 2 (remove one)`,
		}},
		{"twice, spelt differently", "", "Listen=[2001:db8::1]:443 [2001:DB8:0::1]:443", []string{
			`u:2: [X-Switcheroo] Listen=[2001:DB8:0::1]:443: overlaps Listen=[2001:db8::1]:443 in line 2 (remove one)`,
		}},
		{"any address and one", "", "Listen=https=443\nListen=192.0.2.7:443", []string{
			`u:3: [X-Switcheroo] Listen=192.0.2.7:443: overlaps Listen=https=443 in line 2 (remove one)`,
		}},
		{"one name, two ports", "", "Listen=web=80 web=443\nPort=8080", []string{
			`u:2: [X-Switcheroo] Listen=web=443: "web" already names port 80 (use another name)`,
		}},
		{"loopback for the network", "", "Listen=127.0.0.1:443\nListen=[::1]:443\nScope=network", []string{
			`u:2: [X-Switcheroo] Listen=127.0.0.1:443: only this host reaches 127.0.0.1, and Scope=network leaves it out (remove Scope=, or write Scope=localhost)`,
			`u:3: [X-Switcheroo] Listen=[::1]:443: only this host reaches ::1, and Scope=network leaves it out (remove Scope=, or write Scope=localhost)`,
		}},

		{"two ports, auto by default", "", "Listen=80\nListen=443", []string{
			`u:3: [X-Switcheroo] Listen=443: with public ports 80 and 443, Port=auto cannot tell which socket serves which (give each its own: "Listen=p80=80 p443=443" and "Port=p80=NUMBER p443=NUMBER")`,
		}},
		{"two ports, auto", "", "Listen=http=80 https=443\nPort=auto", []string{
			`u:2: [X-Switcheroo] Listen=https=443: with public ports 80 and 443, Port=auto cannot tell which socket serves which (give each its own: "Listen=http=80 https=443" and "Port=http=NUMBER https=NUMBER")`,
		}},
		{"two ports, asked for, without names", "", "Listen=80 443\n[Service]\nExecStart=/usr/bin/switcheroo exec -- /opt/server", []string{
			`u:2: [X-Switcheroo] Listen=443: with public ports 80 and 443, Port=auto cannot tell which socket serves which (give each its own: "Listen=p80=80 p443=443" and "Port=p80=NUMBER p443=NUMBER")`,
		}},
		{"two ports, exec in a comment", "", "# switcheroo exec -- x\nListen=http=80 https=443", []string{
			`u:3: [X-Switcheroo] Listen=https=443: with public ports 80 and 443, Port=auto cannot tell which socket serves which (give each its own: "Listen=http=80 https=443" and "Port=http=NUMBER https=NUMBER")`,
		}},
		{"two ports, one private", "", "Listen=80 192.0.2.7:443\nPort=8080", []string{
			`u:3: [X-Switcheroo] Port=8080: public ports 80 and 443 cannot share a private port (give each its own: "Listen=p80=80 p443=192.0.2.7:443" and "Port=p80=NUMBER p443=NUMBER")`,
		}},
		{"two ports, one private by name", "", "Listen=http=80 https=443\nPort=http=8080 https=8080", []string{
			`u:3: [X-Switcheroo] Port=https=8080: public ports 80 and 443 cannot share a private port (give each its own: "Listen=http=80 https=443" and "Port=http=NUMBER https=NUMBER")`,
		}},
		{"one port has none", "", "Listen=http=80 https=443 8000\nPort=https=8443", []string{
			`u:2: [X-Switcheroo] Listen=http=80: no private port for it in Port= (add "Port=http=NUMBER")`,
			`u:2: [X-Switcheroo] Listen=8000: no private port for it in Port= (add "Port=NUMBER")`,
		}},
		{"unknown endpoint", "", "Listen=https=443\nPort=htps=8443 8444", []string{
			`u:3: [X-Switcheroo] Port=htps=8443: no endpoint is named "htps" (did you mean "https"?)`,
		}},
		{"unlike any endpoint", "", "Listen=a=80 b=443\nPort=a=8080 b=8443 other=1234", []string{
			`u:3: [X-Switcheroo] Port=other=1234: no endpoint is named "other" (expected a or b)`,
		}},
		{"no endpoint has a name", "", "Listen=443\nPort=https=8443", []string{
			`u:2: [X-Switcheroo] Listen=443: no private port for it in Port= (add "Port=NUMBER")`,
			`u:3: [X-Switcheroo] Port=https=8443: no endpoint is named "https" (name it: "Listen=https=443")`,
		}},
		{"a number too many", "", "Listen=https=443\nPort=8080\nPort=https=8443", []string{
			`u:3: [X-Switcheroo] Port=8080: every endpoint has a port of its own (remove it; an empty "Port=" drops what stands above)`,
		}},
		{"two numbers for one", "", "Listen=443\nPort=8001 8002", []string{
			`u:3: [X-Switcheroo] Port=8002: a second private port for the same endpoint (name them: "Port=NAME=NUMBER", as in Listen=)`,
		}},
		{"auto and a number", "", "Listen=443\nPort=auto 8001", []string{
			`u:3: [X-Switcheroo] Port=auto: auto is for all endpoints, a number for one (write either, not both)`,
		}},
		{"auto by name", "", "Listen=https=443\nPort=https=auto", []string{
			`u:3: [X-Switcheroo] Port=https=auto: auto is for all endpoints (write a number for every endpoint, or Port=auto alone)`,
		}},
		{"private port is public elsewhere", "", "Listen=a=80 b=443\nPort=a=443 b=8443", []string{
			`u:3: [X-Switcheroo] Port=a=443: 443 is a public port itself (let the server listen on another port, or on port 0 with Port=auto)`,
		}},
		{"private port misspelt", "", "Listen=443\nPort=atuo", []string{
			`u:3: [X-Switcheroo] Port=atuo: "atuo" is not a port (expected a port from 1 to 65535, NAME=PORT or auto)`,
		}},
		{"private port 0", "", "Listen=443\nPort=0", []string{
			`u:3: [X-Switcheroo] Port=0: port 0 is out of range (expected a port from 1 to 65535, NAME=PORT or auto)`,
		}},
		{"private port by version", "", "Listen=443\nPort=%i", []string{
			`u:3: [X-Switcheroo] Port=%i ("v2"): "v2" is not a port (expected a port from 1 to 65535, NAME=PORT or auto)`,
		}},
		{"private port by no instance", "myapp.service", "Listen=443\nPort=%i", []string{
			`u:3: [X-Switcheroo] Port=%i (""): no port (expected a port from 1 to 65535, NAME=PORT or auto)`,
		}},
		{"private port with bad name", "", "Listen=443\nPort=a/b=1", []string{
			`u:3: [X-Switcheroo] Port=a/b=1: "a/b" cannot name an endpoint (a name is a letter, then up to 31 letters, digits, _ or -)`,
		}},
		{"private port, comma", "", "Listen=443\nPort=8001,8002", []string{
			`u:3: [X-Switcheroo] Port=8001,8002: "8001,8002" is not a port (expected a port from 1 to 65535, NAME=PORT or auto)`,
		}},
		{"private port, other faults in a template", "myapp@.service", "Listen=443\nPort=https=%i\nGuard=x", []string{
			`u:2: [X-Switcheroo] Listen=443: no private port for it in Port= (add "Port=NUMBER")`,
			`u:3: [X-Switcheroo] Port=https=%i ("https="): no endpoint is named "https" (name it: "Listen=https=443")`,
			`u:4: [X-Switcheroo] Guard=x: not a boolean (expected yes or no)`,
		}},

		{"service with @", "", "Listen=443\nService=myapp@v1", []string{
			`u:3: [X-Switcheroo] Service=myapp@v1: '@' cannot stand in a name (a name has letters, digits and _ . : - \)`,
		}},
		{"service with slash", "", "Listen=443\nService=a/b", []string{
			`u:3: [X-Switcheroo] Service=a/b: '/' cannot stand in a name (a name has letters, digits and _ . : - \)`,
		}},
		{"service with blanks", "", "Listen=443\nService=my app", []string{
			`u:3: [X-Switcheroo] Service=my app: ' ' cannot stand in a name (a name has letters, digits and _ . : - \)`,
		}},
		{"service in quotes", "", "Listen=443\nService=\"myapp\"", []string{
			`u:3: [X-Switcheroo] Service="myapp": does not begin with a letter, a digit or _ (write it without quotes)`,
		}},
		{"service begins with a dot", "", "Listen=443\nService=..", []string{
			`u:3: [X-Switcheroo] Service=..: does not begin with a letter, a digit or _ (write a name, such as myapp)`,
		}},
		{"service too long", "", "Listen=443\nService=" + strings.Repeat("a", 256), []string{
			`u:3: [X-Switcheroo] Service="aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...": longer than 255 characters (write a shorter one)`,
		}},
		{"service empty", "myapp.service", "Listen=443\nService=%i", []string{
			`u:3: [X-Switcheroo] Service=%i (""): empty (write a name, such as myapp)`,
		}},
		{"service from the unit", "-.service", "Listen=443", []string{
			`u:1: [X-Switcheroo] the unit's name gives the service none: does not begin with a letter, a digit or _ (set Service=)`,
		}},

		{"scope", "", "Listen=443\nScope=netwrok localhost", []string{
			`u:3: [X-Switcheroo] Scope=netwrok localhost: unknown scope "netwrok" (did you mean "network"?)`,
		}},
		{"scope unlike any", "", "Listen=443\nScope=all", []string{
			`u:3: [X-Switcheroo] Scope=all: unknown scope "all" (expected network, localhost or both)`,
		}},
		{"scope in upper case", "", "Listen=443\nScope=Network", []string{
			`u:3: [X-Switcheroo] Scope=Network: unknown scope "Network" (did you mean "network"?)`,
		}},

		{"probe", "", "Listen=443\nProbe=tpc", []string{
			`u:3: [X-Switcheroo] Probe=tpc: unknown probe "tpc" (did you mean "tcp"?)`,
		}},
		{"probe unlike any", "", "Listen=443\nProbe=grpc", []string{
			`u:3: [X-Switcheroo] Probe=grpc: unknown probe "grpc" (expected tcp, http:/PATH or none)`,
		}},
		{"probe without path", "", "Listen=443\nProbe=http", []string{
			`u:3: [X-Switcheroo] Probe=http: no path (write the path to ask for: "http:/")`,
		}},
		{"probe with empty path", "", "Listen=443\nProbe=http:", []string{
			`u:3: [X-Switcheroo] Probe=http:: no path (write the path to ask for: "http:/")`,
		}},
		{"probe with URL", "", "Listen=443\nProbe=http://localhost/healthz", []string{
			`u:3: [X-Switcheroo] Probe=http://localhost/healthz: the address is the instance's own (write the path only: "http:/healthz")`,
		}},
		{"probe with TLS", "", "Listen=443\nProbe=https:/healthz", []string{
			`u:3: [X-Switcheroo] Probe=https:/healthz: no probe speaks TLS (expected "tcp" or "http:/PATH")`,
		}},
		{"probe, relative path", "", "Listen=443\nProbe=http:healthz", []string{
			`u:3: [X-Switcheroo] Probe=http:healthz: the path does not begin with a slash (write "http:/healthz")`,
		}},
		{"probe, path alone", "", "Listen=443\nProbe=/healthz", []string{
			`u:3: [X-Switcheroo] Probe=/healthz: no kind of probe before the path (did you mean "http:/healthz"?)`,
		}},
		{"probe, blank in the path", "", "Listen=443\nProbe=http:/a b", []string{
			`u:3: [X-Switcheroo] Probe=http:/a b: ' ' cannot stand in a path (write it as in a URL, with "%%" for a percent sign)`,
		}},
		{"probe, fragment", "", "Listen=443\nProbe=http:/a#b", []string{
			`u:3: [X-Switcheroo] Probe=http:/a#b: '#' cannot stand in a path (write it as in a URL, with "%%" for a percent sign)`,
		}},
		{"probe, bad escape", "", "Listen=443\nProbe=http:/%%zz", []string{
			`u:3: [X-Switcheroo] Probe=http:/%%zz ("http:/%zz"): not the path of a URL (write it as in a URL, with "%%" for a percent sign)`,
		}},
		{"probe, percent sign", "", "Listen=443\nProbe=http:/a%20b", []string{
			`u:3: [X-Switcheroo] Probe=http:/a%20b: unknown specifier "%2" (expected %i, %I, %p, %P, %n, %N, %j, %J or %%; a percent sign is "%%")`,
		}},
		{"probe, tcp port", "", "Listen=443\nProbe=tcp:8080", []string{
			`u:3: [X-Switcheroo] Probe=tcp:8080: nothing can follow "tcp" (write tcp)`,
		}},
		{"probe, misspelt", "", "Listen=443\nProbe=HTTP:/healthz", []string{
			`u:3: [X-Switcheroo] Probe=HTTP:/healthz: unknown probe "HTTP" (did you mean "http:/healthz"?)`,
		}},

		{"timespan", "", "Listen=443\nDrainSec=soon", []string{
			`u:3: [X-Switcheroo] DrainSec=soon: not a timespan (expected for example 30s, 5min or "1h 30min")`,
		}},
		{"timespan with wrong unit", "", "Listen=443\nDrainSec=5 mins", []string{
			`u:3: [X-Switcheroo] DrainSec=5 mins: unknown unit "mins" (did you mean "min"?)`,
		}},
		{"timespan negative", "", "Listen=443\nStandbySec=-5", []string{
			`u:3: [X-Switcheroo] StandbySec=-5: negative (expected for example 30s, 5min or "1h 30min")`,
		}},
		{"timespan too long", "", "Listen=443\nDrainSec=300y", []string{
			`u:3: [X-Switcheroo] DrainSec=300y: longer than 292 years (write a shorter one)`,
		}},
		{"no time for the probe", "", "Listen=443\nProbeTimeoutSec=0", []string{
			`u:3: [X-Switcheroo] ProbeTimeoutSec=0: no time at all (expected for example 30s, 5min or "1h 30min")`,
		}},
		{"infinite probe", "", "Listen=443\nProbeTimeoutSec=infinity", []string{
			`u:3: [X-Switcheroo] ProbeTimeoutSec=infinity: only DrainSec= can be infinite (expected for example 30s, 5min or "1h 30min")`,
		}},
		{"infinite standby", "", "Listen=443\nStandbySec=infinity", []string{
			`u:3: [X-Switcheroo] StandbySec=infinity: only DrainSec= can be infinite (expected for example 30s, 5min or "1h 30min")`,
		}},

		{"boolean", "", "Listen=443\nGuard=maybe", []string{
			`u:3: [X-Switcheroo] Guard=maybe: not a boolean (expected yes or no)`,
		}},
		{"boolean in quotes", "", "Listen=443\nGuard=\"yes\"", []string{
			`u:3: [X-Switcheroo] Guard="yes": not a boolean (write it without quotes)`,
		}},
		{"boolean and comment", "", "Listen=443\nGuard=yes ; really", []string{
			`u:3: [X-Switcheroo] Guard=yes ; really: not a boolean (a comment needs a line of its own)`,
		}},

		{"unknown specifier", "", "Listen=443\nService=%q", []string{
			`u:3: [X-Switcheroo] Service=%q: unknown specifier "%q" (expected %i, %I, %p, %P, %n, %N, %j, %J or %%; a percent sign is "%%")`,
		}},
		{"unknown specifier in a list", "", "Listen=443 %é", []string{
			`u:2: [X-Switcheroo] Listen=%é: unknown specifier "%é" (expected %i, %I, %p, %P, %n, %N, %j, %J or %%; a percent sign is "%%")`,
		}},
		{"percent sign at the end", "", "Listen=443\nService=a%", []string{
			`u:3: [X-Switcheroo] Service=a%: a single "%" at the end (write "%%" for a percent sign)`,
		}},
		{"bad escape in the instance", `myapp@a\xg.service`, "Listen=443\nService=%I", []string{
			`u:3: [X-Switcheroo] Service=%I: no \xNN escape in "a\\xg" at "\\xg" (write it as systemd-escape does)`,
		}},
		{"long value", "", "Listen=443\nService=" + strings.Repeat("/", 200), []string{
			`u:3: [X-Switcheroo] Service="////////////////////////////////////////////////////////////////////////////////...": does not begin with a letter, a digit or _ (write a name, such as myapp)`,
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			unit, text := tc.unit, tc.text
			if unit == "" {
				unit = "myapp@v2.service"
			}
			if !strings.HasPrefix(text, "[") {
				text = "[X-Switcheroo]\n" + text
			}
			in, err := ParseInstance(unit, []File{{"u", []byte(text)}})
			if in != nil {
				t.Errorf("an instance beside the error: %+v", in)
			}
			var all Errors
			if !errors.As(err, &all) {
				t.Fatalf("error %v, want Errors", err)
			}
			got := strings.Split(all.Error(), "\n")
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestErrorsOfDropIns covers what needs several files.
func TestErrorsOfDropIns(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files []File
		want  string
	}{
		{"in the order of the files", []File{
			{"z.service", []byte("[X-Switcheroo]\nListen=443\nGuard=x\nPort=x")},
			{"a.conf", []byte("[X-Switcheroo]\nProt=1\n[x-switcheroo]\n")},
		}, `z.service:3: [X-Switcheroo] Guard=x: not a boolean (expected yes or no)
z.service:4: [X-Switcheroo] Port=x: "x" is not a port (expected a port from 1 to 65535, NAME=PORT or auto)
a.conf:2: [X-Switcheroo] unknown key "Prot" (did you mean "Port"?)
a.conf:3: unknown section "[x-switcheroo]" (did you mean "[X-Switcheroo]"?)`},
		{"the same port again", []File{
			{"a.service", []byte("[X-Switcheroo]\nListen=443\n")},
			{"b.conf", []byte("[X-Switcheroo]\nListen=443\n")},
		}, `b.conf:2: [X-Switcheroo] Listen=443: overlaps Listen=443 at a.service:2 (remove one, or put an empty "Listen=" above it to replace the list)`},
		{"no Listen=, section in a drop-in", []File{
			{"a.service", []byte("[Service]\n")},
			{"b.conf", []byte("\n[X-Switcheroo]\n")},
			{"c.conf", []byte("[X-Switcheroo]\n")},
		}, `b.conf:2: [X-Switcheroo] no Listen= (say which port clients dial, for example "Listen=443")`},
		{"public port of all instances", []File{
			{"/etc/systemd/system/a@.service", []byte("[X-Switcheroo]\nListen=443\nPort=443\n")},
		}, `/etc/systemd/system/a@.service:3: [X-Switcheroo] Port=443: 443 is the public port itself, and this is for all instances (let the server listen on another port, or on port 0 with Port=auto; for the one instance that listens there now, write it into a drop-in of that)`},
		{"public port of all instances, by name", []File{
			{"/etc/systemd/system/a@.service", []byte("[X-Switcheroo]\nListen=https=443\n")},
			{"/etc/systemd/system/a@.service.d/b.conf", []byte("[X-Switcheroo]\nPort=https=443\n")},
		}, `/etc/systemd/system/a@.service.d/b.conf:2: [X-Switcheroo] Port=https=443: 443 is the public port itself, and this is for all instances (let the server listen on another port, or on port 0 with Port=auto; for the one instance that listens there now, write it into a drop-in of that)`},
		{"near miss in a drop-in only", []File{
			{"a.service", []byte("[Service]\n")},
			{"b.conf", []byte("[X-Swicheroo]\nListen=443\n")},
		}, `b.conf:1: unknown section "[X-Swicheroo]" (did you mean "[X-Switcheroo]"?)`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in, err := ParseInstance("a.service", tc.files)
			if in != nil || err == nil {
				t.Fatalf("got %+v, %v", in, err)
			}
			if diff := cmp.Diff(strings.Split(tc.want, "\n"), strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestErrorAs(t *testing.T) {
	_, err := ParseInstance("a.service", []File{{"/etc/systemd/system/a.service", []byte("[X-Switcheroo]\nListen=443\nProt=1\n")}})
	want := &Error{
		File: "/etc/systemd/system/a.service", Line: 3, Section: "X-Switcheroo",
		Message: `unknown key "Prot"`, Hint: `did you mean "Port"?`,
	}
	var got *Error
	if !errors.As(err, &got) {
		t.Fatalf("%v has no *Error", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
