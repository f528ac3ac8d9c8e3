package load

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// Class is what happened to a connection that was not served perfectly.
type Class string

const (
	Refused     Class = "refused"
	TimedOut    Class = "timed-out"
	ResetBefore Class = "reset-before-byte" // before the first byte of a response
	ResetAfter  Class = "reset-after-byte"  // in it, or after it: instead of a close, or while idle
	EarlyEnd    Class = "early-end"         // closed before, or in, a response
	WrongBytes  Class = "wrong-bytes"       // not what the server was asked for
	// Retransmitted is a connection whose SYN had been sent again when connect
	// returned (tcpi_total_retrans). It may be perfect otherwise.
	Retransmitted Class = "syn-retransmitted"
	// SlowConnect is a connection whose SYN was answered later than
	// Config.SlowConnect, by the kernel's own clock, with no retransmission to
	// explain it. It may be perfect otherwise.
	SlowConnect Class = "slow-connect"
	Unreachable Class = "unreachable"
	Other       Class = "other"
	// ClientError is an error of the client's own machine, such as no free
	// source port. It says nothing about the server, and makes a run invalid.
	ClientError Class = "client"
	// OwnReset is a reset of the server's own will. Only a Session fails of it.
	OwnReset Class = "server-reset"
)

// Classes are all classes that a run counts, in the order of the table.
var Classes = []Class{Refused, TimedOut, ResetBefore, ResetAfter, EarlyEnd, WrongBytes, Retransmitted, SlowConnect, Unreachable, Other, ClientError}

// Phase is how far a connection had come.
type Phase string

const (
	Connect   Phase = "connect"
	Handshake Phase = "handshake" // of TLS
	Write     Phase = "write"     // the request
	Wait      Phase = "wait"      // for the first byte
	Response  Phase = "response"  // the rest of it
	Idle      Phase = "idle"      // between requests
	Close     Phase = "close"     // for the server to close, as it was asked to
)

// Failure is one thing that went wrong.
type Failure struct {
	Time      int64  `json:"time"`                // when it was seen, ns since 1970
	Began     int64  `json:"began"`               // when connect was called, likewise
	Connected int64  `json:"connected,omitempty"` // when connect returned, likewise; 0 if it failed
	Kind      Kind   `json:"kind"`
	Class     Class  `json:"class"`
	Phase     Phase  `json:"phase"`
	Local     string `json:"local"` // ":20001" if it never connected
	Remote    string `json:"remote"`
	Request   int    `json:"request"`           // of the connection, from 1 on; 0 before; the last one if idle
	Version   string `json:"version,omitempty"` // of its last response
	Message   string `json:"error"`
}

func (f Failure) String() string {
	return fmt.Sprintf("%s %s: %s in %s of request %d, %s to %s after %v: %s",
		time.Unix(0, f.Time).UTC().Format("15:04:05.000000"), f.Kind, f.Class, f.Phase, f.Request,
		f.Local, f.Remote, time.Duration(f.Time-f.Began), f.Message)
}

// wrong is what a server said that it should not have.
type wrong string

func (w wrong) Error() string { return string(w) }

// classify names the class of err, in phase.
func classify(phase Phase, err error) Class {
	var w wrong
	switch {
	case errors.As(err, &w):
		return WrongBytes
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT), isTimeout(err):
		return TimedOut
	// A write, or a read, after the reset was told once.
	case isReset(err):
		switch phase {
		case Response, Idle, Close:
			return ResetAfter
		}
		return ResetBefore
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return EarlyEnd
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return Unreachable
	case isLocal(err):
		return ClientError
	}
	return Other
}

func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

func isPortBusy(err error) bool {
	return errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EADDRNOTAVAIL)
}

func isLocal(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EINVAL, syscall.EAFNOSUPPORT} {
		if errors.Is(err, e) {
			return true
		}
	}
	return isPortBusy(err)
}
