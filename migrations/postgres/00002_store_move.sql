-- +goose Up

-- A deployment's data on its way from another store. Until it is finished no server uses the database.
CREATE TABLE store_move (
    source   TEXT    PRIMARY KEY, -- which deployment
    finished BOOLEAN NOT NULL
);
