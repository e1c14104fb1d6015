package redis

import "time"

const scriptTime = 5 * time.Second

var scriptCommands []Command

type scripts struct{}
type interp struct{}

func newScripts() *scripts               { return &scripts{} }
func (*scripts) close()                  {}
func (*scripts) cached() (int, int)      { return 0, 0 }
func (*scripts) run(w *work, s *Session) {}
