// Package controller decides which activation each service's public port
// points at, and sees older ones out.
//
// It is level-triggered. Everything it knows is in one value, the world: what
// systemd says of the units, what their files ask for, what the kernel's rules
// and the saved State say, and how far its own tasks are. After every event,
// the pure function plan reads the world and returns the actions that lead
// from it to where it should be; the Controller carries them out and plans
// again. A plan made twice is made once: an action under way is not planned
// anew.
//
// An activation passes through these states:
//
//	candidate --> current --> quiesce --> standby --> drain --> stop
//	    |            |           ^
//	    v            v           |
//	 refused      rejected ------'
//
// A candidate that has no usable listener or fails its probe is refused and
// left alone. A current one that dies or fails its probe while an older one is
// still running is rejected: the port goes back, and the rejected one is seen
// out like an old one.
//
// One goroutine owns the world. What takes time (probing, waiting for queues
// and connections, calls that may have to be repeated) runs in tasks, which
// hand their result back to that goroutine.
package controller
