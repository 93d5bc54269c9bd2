CREATE TABLE payments (
    name {text} PRIMARY KEY,
    customer {text} NOT NULL,
    currency {text} NOT NULL,
    amount {bigint} NOT NULL,
    card {text} NOT NULL,
    state {text} NOT NULL,
    captured {bigint} NOT NULL,
    refunded {bigint} NOT NULL,
    decline_reason {text} NOT NULL,
    created {bigint} NOT NULL,
    updated {bigint} NOT NULL,
    version {bigint} NOT NULL
);
CREATE INDEX payments_by_time ON payments (created, name);
CREATE INDEX payments_by_customer ON payments (customer, created, name)
