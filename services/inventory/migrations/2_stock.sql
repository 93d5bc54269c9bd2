CREATE TABLE stock (
    product {text} PRIMARY KEY,
    seller {text} NOT NULL,
    available {bigint} NOT NULL CHECK (available >= 0),
    reserved {bigint} NOT NULL CHECK (reserved >= 0),
    sold {bigint} NOT NULL CHECK (sold >= 0),
    received {bigint} NOT NULL,
    updated {bigint} NOT NULL,
    CHECK (received = available + reserved + sold)
)
