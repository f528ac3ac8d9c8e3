// Package control serves the control socket: how things stand for everyone, and
// orders from those who may give them. docs/api.md describes it from outside.
//
// Nothing here can hold up a switch. What is asked is answered from a
// [controller.View], which is made once however many ask; orders are events of
// the controller's loop; news are read from a ring that nobody's slowness
// fills. How much a client may ask at once, how large and for how long, is
// limited, for each user and in all.
//
// Who calls is known by the connection: see [Peer].
package control
