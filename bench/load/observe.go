//go:build linux

package load

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// observation is what had been used up to an instant, in CPU seconds.
type observation struct {
	at                           time.Time
	server, asked, self, machine float64
}

func observe(pids []int) (o observation, err error) {
	o.at = time.Now()
	for i, pid := range pids {
		used, err := ProcessCPU(pid)
		if err != nil {
			return o, err
		}
		if o.server += used; i == 0 {
			o.asked = used
		}
	}
	var use unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &use); err != nil {
		return o, fmt.Errorf("getrusage: %w", err)
	}
	o.self = float64(use.Utime.Nano()+use.Stime.Nano()) / 1e9
	o.machine, err = machineCPU()
	return o, err
}

// ProcessCPU is the CPU time that the threads of a process have used so far, in seconds, exact to the nanosecond.
// Threads that have ended are not in it.
func ProcessCPU(pid int) (float64, error) {
	dir := fmt.Sprintf("/proc/%d/task/", pid)
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	var sum float64
	for _, t := range tasks {
		b, err := os.ReadFile(dir + t.Name() + "/schedstat")
		if os.IsNotExist(err) {
			continue // the thread ended meanwhile
		}
		if err != nil {
			return 0, err
		}
		run, _, _ := bytes.Cut(b, []byte(" "))
		ns, err := strconv.ParseUint(string(run), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s%s/schedstat: %w", dir, t.Name(), err)
		}
		sum += float64(ns)
	}
	return sum / 1e9, nil
}

// machineCPU is the CPU time that all processes and the kernel have used since boot, in seconds.
func machineCPU() (float64, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return busy(line)
}

// busy sums the first line of /proc/stat without idle, waiting for disks and stolen time (fields 4, 5 and 8).
func busy(line string) (float64, error) {
	const ticksPerSecond = 100 // USER_HZ, the same on every Linux
	f := strings.Fields(line)
	if len(f) < 9 || f[0] != "cpu" {
		return 0, fmt.Errorf("/proc/stat begins with %q", line)
	}
	var ticks float64
	for _, i := range []int{1, 2, 3, 6, 7} {
		v, err := strconv.ParseFloat(f[i], 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat begins with %q: %w", line, err)
		}
		ticks += v
	}
	return ticks / ticksPerSecond, nil
}
