CREATE TABLE projects (
    name {text} PRIMARY KEY,
    title {text} NOT NULL,
    description {text} NOT NULL,
    owner {text} NOT NULL,
    state {text} NOT NULL,
    created {bigint} NOT NULL,
    updated {bigint} NOT NULL,
    archived {bigint},
    version {bigint} NOT NULL
);
CREATE INDEX projects_by_time ON projects (created, name);
CREATE INDEX projects_by_owner ON projects (owner, created, name);
