// Package repo is the data role: what is stored, who may change it in which
// transaction, and what is cached of it. Service serves the role's contract
// over a Store, the engine behind it.
package repo
