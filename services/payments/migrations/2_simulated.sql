CREATE TABLE simulated_charge (
    charge {text} PRIMARY KEY,
    closed {bool} NOT NULL
);
CREATE TABLE simulated_attempt (
    key {text} PRIMARY KEY,
    attempts {bigint} NOT NULL
);
CREATE TABLE simulated_booking (
    key {text} PRIMARY KEY,
    charge {text} NOT NULL,
    number {bigint} NOT NULL,
    kind {text} NOT NULL,
    amount {bigint} NOT NULL,
    currency {text} NOT NULL,
    booked {bigint} NOT NULL
);
CREATE UNIQUE INDEX simulated_booking_by_charge ON simulated_booking (charge, number)
