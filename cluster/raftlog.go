package cluster

import (
	"fmt"
	"log/slog"
)

// raftLog passes on what raft has to say. Its panics are broken invariants.
type raftLog struct{ to *slog.Logger }

func (l raftLog) Debug(v ...any)                   { l.to.Debug("raft: " + fmt.Sprint(v...)) }
func (l raftLog) Debugf(format string, v ...any)   { l.to.Debug("raft: " + fmt.Sprintf(format, v...)) }
func (l raftLog) Info(v ...any)                    { l.Debug(v...) }
func (l raftLog) Infof(format string, v ...any)    { l.Debugf(format, v...) }
func (l raftLog) Warning(v ...any)                 { l.to.Warn("raft: " + fmt.Sprint(v...)) }
func (l raftLog) Warningf(format string, v ...any) { l.to.Warn("raft: " + fmt.Sprintf(format, v...)) }
func (l raftLog) Error(v ...any)                   { l.to.Error("raft: " + fmt.Sprint(v...)) }
func (l raftLog) Errorf(format string, v ...any)   { l.to.Error("raft: " + fmt.Sprintf(format, v...)) }
func (l raftLog) Fatal(v ...any)                   { panic("raft: " + fmt.Sprint(v...)) }
func (l raftLog) Fatalf(format string, v ...any)   { panic("raft: " + fmt.Sprintf(format, v...)) }
func (l raftLog) Panic(v ...any)                   { panic("raft: " + fmt.Sprint(v...)) }
func (l raftLog) Panicf(format string, v ...any)   { panic("raft: " + fmt.Sprintf(format, v...)) }
