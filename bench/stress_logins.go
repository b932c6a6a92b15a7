package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/gochat-im/gochat/bench/internal/check"
)

// logout ends the phone's login, and logs in again.
func (c *stressClient) logout(ctx context.Context) {
	phone := c.phone
	phone.ending.Store(true)
	err := c.call(ctx, "log out", phone.api.Logout)
	c.relogin(ctx, phone, err)
}

// changePassword ends the phone's login from the laptop, and logs in with the
// new password.
func (c *stressClient) changePassword(ctx context.Context) {
	c.nextID++
	phone, next := c.phone, fmt.Sprintf("password %d of %d", c.nextID, c.index)
	phone.ending.Store(true)
	err := c.call(ctx, "change the password", func(ctx context.Context) error {
		return c.laptop.api.ChangePassword(ctx, c.passwords[0], next)
	})
	switch {
	case err == nil:
		c.passwords = []string{next}
	case unknown(err):
		c.passwords = append(c.passwords, next)
	}
	c.relogin(ctx, phone, err)
}

// relogin holds the end of a login to its promise, and logs in again.
func (c *stressClient) relogin(ctx context.Context, d *device, err error) {
	if err == nil {
		c.ends = append(c.ends, check.End{Device: d.label, At: c.run.now()})
		select {
		case <-d.pause: // one that waits for its turn would keep the device from seeing its end
		default:
		}
		select {
		case <-d.drained:
		case <-time.After(endTimeout):
			if !c.run.disturbed() {
				c.run.fail(&check.Violation{Promise: check.LoggedOut, Detail: d.label + " is connected still, " + endTimeout.String() + " after its end"})
			}
		}
	}
	d.close()
	c.revive(ctx, d)
}

// revive logs a device in again whose login has ended.
func (c *stressClient) revive(ctx context.Context, d *device) {
	err := d.login(ctx)
	if err == nil || ctx.Err() != nil || c.run.disturbed() && unknown(err) { // the next turn tries again
		return
	}
	c.run.fail(err)
}

// pause makes a device read nothing for a while: the server must leave out what
// does not fit, or end its connection, and slow down nobody else.
func (c *stressClient) pause(context.Context) {
	select {
	case c.phone.pause <- time.Duration(1+c.rng.IntN(4)) * time.Second:
	default:
	}
}
