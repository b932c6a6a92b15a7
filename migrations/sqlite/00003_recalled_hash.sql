-- +goose Up

-- The hash of a short text gives the text away.
UPDATE messages SET body_hash = 0 WHERE recalled <> 0;
