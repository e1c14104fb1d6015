package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"holdfast/config"
)

const (
	askTimeout = 5 * time.Second  // for the answer of a running daemon
	actTimeout = 25 * time.Second // for it to do what it is told; it gives up itself before
	maxAnswer  = 8 << 20          // bytes of an answer
)

// actionHeader must be in a request that changes something.
const actionHeader = "X-Holdfast-Action"

// daemon is a running one, by its admin port.
type daemon struct {
	loader  *loader
	address string // as --admin says
}

// daemonFlags gives c the flags that say which daemon it is about.
func (p Program) daemonFlags(c *cobra.Command) *daemon {
	d := &daemon{}
	c.Flags().StringVar(&d.address, "admin", "", "admin address of the daemon (default: admin-listen of the configuration)")
	d.loader = p.daemonLoader(c)
	return d
}

// find says where the daemon's admin port is: as said, or as configured.
func (d *daemon) find() (config.Listener, error) {
	if d.address != "" {
		at, err := config.ParseListener(d.address)
		if err != nil {
			return at, usage{fmt.Errorf("--admin: %w", err)}
		}
		return at, nil
	}
	c, err := d.loader.load()
	if errors.Is(err, errUsual) { // whoever may not read it, as monitoring, finds the daemon where it is by default
		c, err = (&loader{environ: d.loader.environ}).load()
	}
	if err != nil {
		return config.Listener{}, err
	}
	all := c.Admin()
	if len(all) == 0 {
		return config.Listener{}, errors.New("setting admin-listen is empty: say where the daemon is with --admin")
	}
	return all[0], nil
}

// get returns a page.
func (d *daemon) get(path string) ([]byte, error) { return d.ask(http.MethodGet, path, askTimeout) }

// do has the daemon do something and returns what it says of it.
func (d *daemon) do(path string) (string, error) {
	body, err := d.ask(http.MethodPost, path, actTimeout)
	return strings.TrimSpace(string(body)), err
}

func (d *daemon) ask(method, path string, within time.Duration) ([]byte, error) {
	at, err := d.find()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, at.Network, at.Address)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, method, "http://holdfast"+path, nil)
	if err != nil {
		return nil, err
	}
	if method == http.MethodPost {
		req.Header.Set(actionHeader, "yes")
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("no daemon answers at %s (%w): is 'holdfast serve' running there?", at.Address, errors.Unwrap(err))
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, fmt.Errorf("asking %s for %s: %w", at.Address, path, err)
	case res.StatusCode != http.StatusOK && method == http.MethodPost:
		return nil, errors.New(firstLine(body, res.Status))
	case res.StatusCode != http.StatusOK:
		what, _, _ := strings.Cut(path, "?")
		return nil, fmt.Errorf("asking %s for %s: %s", at.Address, what, firstLine(body, res.Status))
	}
	return body, nil
}

// firstLine is what the daemon says in words, or else the status of its answer.
func firstLine(body []byte, otherwise string) string {
	line, _, _ := strings.Cut(string(body), "\n")
	return or(strings.TrimSpace(line), "the daemon answered "+otherwise)
}

// report returns the daemon's status, and the text of it.
func (d *daemon) report() (*report, []byte, error) {
	body, err := d.get("/status")
	if err != nil {
		return nil, nil, err
	}
	r := new(report)
	if err := json.Unmarshal(body, r); err != nil {
		return nil, nil, fmt.Errorf("what answers at the admin address gives no status: %w", err)
	}
	return r, body, nil
}
