// Package single puts the redirect of one service into the kernel with single
// iptables commands, one rule each, so that whoever runs them (sudo, a
// container's own way in) need not know of iptables-restore.
//
// The service's processes follow one another; each is a generation with a
// chain of its own. In table nat of each family there is
//
//	-A PREROUTING -p tcp --syn -m addrtype --dst-type LOCAL -m comment --comment "switcheroo ns=NAME" -j SWL-<service>
//	-A OUTPUT     -p tcp --syn -m addrtype --dst-type LOCAL -m comment --comment "switcheroo ns=NAME" -j SWL-<service>
//	-A SWL-<service>      -m comment --comment "switcheroo gen=2 pid=4711 start=123456 scope=3 port=40401 ns=NAME" -j SWL-<generation>
//	-A SWL-<generation>   -m comment --comment "switcheroo gen=2 pid=4711 ..."
//	-A SWL-<generation>   -p tcp --dport 443 -j DNAT --to-destination :40401
//
// and, for each older generation that still runs, its chain, to which nothing
// leads, with the marks "switcheroo retired=SECONDS", "switcheroo told" and
// "switcheroo signalled".
// That is all the state there is: who dies at whatever moment leaves behind
// what the next one needs to know. Names are disjoint from those of package
// iptables, the daemon's, so that the two leave each other's rules alone.
//
// A change is a list of steps. All that a new generation needs is there before
// one -R (or, the first time, one -I) moves every endpoint of a family at once;
// when a step fails those before it are undone, so that the traffic stays where
// it was.
package single
