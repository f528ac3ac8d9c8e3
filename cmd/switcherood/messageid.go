package main

import "github.com/switcheroo/switcheroo/internal/controller"

// messageIDs are the MESSAGE_ID of each kind of news, under which
// packaging/systemd/switcheroo.catalog explains it. They never change. Probing,
// Switching and DrainBegan are not logged.
var messageIDs = map[controller.Kind]string{
	controller.NotReady:      "de0870e47cb47b10f141d60becae9d67",
	controller.Refused:       "92520fb93aa9db674d0dd26376de4b91",
	controller.Superseded:    "9ab79fc2d2e13010859903f7bb43926e",
	controller.Switched:      "b8000b175250eab76a38b9883cb56c5e",
	controller.SwitchedBack:  "227e40786ebd1a03697bf0c14c40253e",
	controller.Withdrawn:     "db519118083a835c2c39a2d159c6cdcb",
	controller.Released:      "6ca32a2f679e04db881eadb86055a44f",
	controller.Quiesced:      "fdca55840cc7857f9ed1e110eec139e8",
	controller.Enabled:       "fc94437f6afb4046526d20877c02521e",
	controller.Drained:       "5f15022907ea7d92da41d9ae65e749f1",
	controller.DrainExpired:  "df58cc21ef314b7fb9b0bb9cd502dd22",
	controller.StopBegan:     "47566fbd35aee54de99d6092ce041ff7",
	controller.Stopped:       "b5aa0534cd42daef71a635d2cbeb5504",
	controller.Ended:         "631c22dcc140aad5b02fae154fd3e18d",
	controller.Adopted:       "6dfb490c8134fab80857c66c4e6154f7",
	controller.Renamed:       "851c20f94c27b14fcd44f50c96dfeb99",
	controller.Misconfigured: "a2210c9ed5f579aae1a9356b685abbd4",
	controller.Repaired:      "29440992dc64a4d6bd8751c5c11c2f77",
	controller.RulesFailed:   "75da4180bbc5e58d942f176bcc3cbf7d",
	controller.Obstructed:    "048b5c1285e1665eb685e6fbc428c563",
	controller.Paused:        "5640edd1b265331fe30ffda42648c58e",
	controller.Resumed:       "0b6c867ae6419c1fe69410824eb42a7f",
	controller.Trouble:       "2e3b5e2b345b343e62bd9f3abf72ec45",
}
