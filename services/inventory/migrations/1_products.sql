CREATE TABLE products (
    name {text} PRIMARY KEY,
    title {text} NOT NULL,
    currency {text} NOT NULL,
    price {bigint} NOT NULL,
    seller {text} NOT NULL,
    created {bigint} NOT NULL,
    updated {bigint} NOT NULL,
    version {bigint} NOT NULL
);
CREATE INDEX products_by_time ON products (created, name);
CREATE INDEX products_by_seller ON products (seller, created, name)
