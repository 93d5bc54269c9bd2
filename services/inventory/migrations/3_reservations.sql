CREATE TABLE reservations (
    name {text} PRIMARY KEY,
    state {text} NOT NULL,
    lines {blob},
    expires {bigint} NOT NULL,
    created {bigint} NOT NULL,
    updated {bigint} NOT NULL,
    version {bigint} NOT NULL
);
CREATE INDEX reservations_by_time ON reservations (created, name)
