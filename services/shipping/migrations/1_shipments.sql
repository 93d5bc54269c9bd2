CREATE TABLE shipments (
    name {text} PRIMARY KEY,
    customer {text} NOT NULL,
    parcel {blob},
    state {text} NOT NULL,
    tracking {text} NOT NULL,
    created {bigint} NOT NULL,
    updated {bigint} NOT NULL,
    version {bigint} NOT NULL
);
CREATE INDEX shipments_by_time ON shipments (created, name);
CREATE INDEX shipments_by_customer ON shipments (customer, created, name)
