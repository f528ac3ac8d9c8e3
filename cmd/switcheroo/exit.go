package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/switcheroo/switcheroo/internal/api"
)

// Exit statuses of the verbs that ask the daemon, documented in docs/cli.md.
// Those of main.go hold here as well: 5 says that an instance could not be
// started, 6 that it was not switched to, and 7 that it lost the traffic again.
const (
	exitNotActive     = 3 // it does not run, nothing has the traffic, or it is not paused
	exitStartFailed   = exitEndedEarly
	exitProbeFailed   = exitNotReady
	exitLocked        = 8  // the rules cannot be changed: mostly, another program holds their lock
	exitDrainDeadline = 9  // DrainSec= was over before the connections were
	exitTimeout       = 10 // not within --timeout
	exitIll           = 11 // doctor has found something
)

// statuses is the exit status of each of the daemon's errors; 1 is that of all
// others.
var statuses = map[api.Code]int{
	api.BadRequest:  exitUsage,
	api.NoService:   exitNoService,
	api.NoInstance:  exitNoService,
	api.StartFailed: exitStartFailed,
	api.ProbeFailed: exitProbeFailed,
	api.RolledBack:  exitRolledBack,
	api.Timeout:     exitTimeout,
	api.NotPaused:   exitNotActive,
	api.Locked:      exitLocked,
}

// explain gives what a call returned its exit status and, where the daemon is
// what is missing, words of our own.
func explain(err error) error {
	var known *api.Error
	if errors.As(err, &known) {
		if status := statuses[known.Code]; status != 0 {
			return failure{err, status}
		}
		return err
	}
	var gone *api.UnreachableError
	if !errors.As(err, &gone) {
		return err
	}
	text := "switcherood does not answer"
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ECONNREFUSED):
		text = "switcherood is not running"
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("not allowed to connect to %s", gone.Socket)
	case errors.Is(err, context.DeadlineExceeded):
		return hinted{errors.New(text + " in time"), `see "systemctl status switcherood"`}
	}
	return hinted{errors.New(text), gone.Hint()}
}

// plainly returns what explain says, without its hint.
func plainly(err error) error { return errors.New(explain(err).Error()) }
