package switcheroo_test

import (
	"os"
	"testing"

	"github.com/switcheroo/switcheroo/test/host"
)

func TestMain(m *testing.M) { os.Exit(host.MainAlone(m)) }
