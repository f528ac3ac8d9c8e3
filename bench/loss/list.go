package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/switcheroo/switcheroo/bench/loss/contender"
	"github.com/switcheroo/switcheroo/bench/loss/server"
)

func listVerb(_ context.Context, args []string, stdout, stderr io.Writer) error {
	if err := parse(flag.NewFlagSet("loss list", flag.ContinueOnError), args, stderr); err != nil {
		return err
	}
	t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "contender\thow it replaces a version")
	for _, c := range contender.All() {
		fmt.Fprintf(t, "%s\t%s\n", c.Name(), c.About())
	}
	fmt.Fprintln(t, "\t\nserver\twhat it is")
	for _, k := range append(server.All(), server.Warm) {
		fmt.Fprintf(t, "%s\t%s\n", k.Name, k.About)
	}
	return t.Flush()
}
